import Logging
package import Network
import Primitives
import Reliability
import SQLite
import Synchronization
import Transport

/// Copies that no stripe names: removed at their time, in this order: out of the order, then
/// deleted, then forgotten.
extension Custodian {
    /// Copies removed from one provider at once.
    private static let batchMax = 256
    private static let deletePatience = Duration.seconds(30)
    /// Seconds between two looks.
    private static let copiesInterval = 5.0
    /// How long, in seconds, a provider is left alone that retains a copy whose time is over here:
    /// its clock is behind.
    private static let behindSeconds = 60.0
    /// A holder that did not come back for so long, in seconds, will not: 30 days.
    private static let awayMax = 30.0 * 24 * 3600

    // MARK: Hosts

    /// Another custodian of this volume moved a shard (`FetchRepairs`): `from` may have a copy.
    package func noteMoved(_ repair: RepairRecord) {
        let time = now()
        book.forgetAbsence(of: repair.to)
        let copy = Copy(shard: repair.shard, provider: repair.from)
        let state: BookSchema.CopyState =
            book.loss(copy.shard, at: copy.provider) == nil ? .away : .garbage
        book.attempt("copies") { (store) throws(SQLiteError) in
            try store.removeStrays([Copy(shard: repair.shard, provider: repair.to)])
            try store.put([
                StrayCopy(
                    copy: copy,
                    stripe: repair.stripe,
                    index: Int(repair.index),
                    state: state,
                    due: time
                )
            ])
        }
    }

    /// Another custodian of this volume takes over: spares and copies to be removed are its
    /// business now.
    package func handOver() {
        state.withLock { $0.isHandedOver = true }
        book.attempt("copies") { (store) throws(SQLiteError) in try store.removeAllStrays() }
    }

    // MARK: Removing

    func tidyCopies(at time: Timestamp) {
        let isDue = state.withLock { state -> Bool in
            if let due = state.copiesDue, due > time { return false }
            state.copiesDue = time.adding(seconds: Self.copiesInterval)
            return true
        }
        guard isDue, configuration.repairs, configuration.mayMove() else { return }
        guard !isStopping else { return }
        runOnce(.copies, "copies") { [self] in
            let view = state.withLock { $0.view }
            welcome(view, at: time)
            for state in [BookSchema.CopyState.intent, .garbage, .here] {
                let providers = book.attempt("copies") { (store) throws(SQLiteError) in
                    try store.providersOfStrays(state, dueBy: time)
                }
                for provider in providers ?? [] where view.isReachable(provider) && !isStopping {
                    tidy(state, at: provider, time)
                }
            }
        }
    }

    /// Copies whose holders are up are spares for a while; those of holders that never came back
    /// are forgotten.
    private func welcome(_ view: NetworkView, at time: Timestamp) {
        let until = time.adding(seconds: Double(configuration.spareSeconds))
        book.attempt("copies") { (store) throws(SQLiteError) in
            for provider in try store.providersOfStrays(.away, dueBy: time) {
                if let seen = view.providers[provider], seen.suspectSince == nil {
                    _ = try store.changeStrays(at: provider, from: .away, to: .here, due: until)
                    continue
                }
                let forgotten = try store.strays(
                    .away,
                    dueBy: time.adding(seconds: -Self.awayMax),
                    at: provider,
                    limit: Self.batchMax
                )
                try store.removeStrays(forgotten.map(\.copy))
            }
        }
    }

    private func tidy(_ state: BookSchema.CopyState, at provider: NodeID, _ time: Timestamp) {
        let strays =
            book.attempt("copies") { (store) throws(SQLiteError) in
                try store.strays(state, dueBy: time, at: provider, limit: Self.batchMax)
            } ?? []
        var gone: [Copy] = []
        var garbage: [StrayCopy] = []
        for stray in strays {
            // The stripe has the last word: a copy that it names stays.
            do {
                let isHolder = try source.stripe(stray.stripe)?.shards.contains { holding in
                    holding.shard == stray.copy.shard && holding.provider == provider
                }
                if isHolder ?? false { gone.append(stray.copy) } else { garbage.append(stray) }
            } catch {
                logger.debug("copies of stripe \(stray.stripe.short) stay: \(error)")
            }
        }
        if !garbage.isEmpty, remove(garbage, at: provider, time) { gone += garbage.map(\.copy) }
        if !gone.isEmpty { book.removeStrays(gone) }
    }

    private func remove(_ strays: [StrayCopy], at provider: NodeID, _ time: Timestamp) -> Bool {
        let shards = strays.map(\.copy.shard)
        do throws(NetworkError) {
            try book.remove(shards, from: provider)
            try network.delete(shards, from: provider).wait(for: Self.deletePatience)
            return true
        } catch {
            logger.debug("copies stay at provider \(provider.short): \(error)")
            if error.code == .retained { putOff(strays, at: provider, time) }
            return false
        }
    }

    /// Comes back to copies that their provider retains when their time is over.
    private func putOff(_ strays: [StrayCopy], at provider: NodeID, _ time: Timestamp) {
        let query = RetainShards(
            owner: identity.owner,
            until: 0,
            shards: strays.map(\.copy.shard)
        )
        let answer = try? network.ask(query, of: provider).wait(for: RetainShards.timeout)
        guard let times = answer?.times, times.count == strays.count else { return }
        let later = zip(strays, times).filter { $1 > 0 }.map { stray, until in
            StrayCopy(
                copy: stray.copy,
                stripe: stray.stripe,
                index: stray.index,
                state: stray.state,
                due: max(
                    Timestamp(seconds: until, nanoseconds: 0),
                    time.adding(seconds: Self.behindSeconds)
                )
            )
        }
        book.attempt("copies") { (store) throws(SQLiteError) in try store.put(later) }
    }
}
