import Logging
import Network
package import Primitives
import Proofs
package import Reliability
import SQLite
import Synchronization
import Transport

/// What is seen of providers, and what is thought of them.
extension Custodian {
    /// Seconds between two questions for the keepers' scores.
    private static let scoresInterval = 600.0
    /// Pages of scores that are read: as many as a directory has providers.
    private static let scorePagesMax = 8

    // MARK: Hosts

    /// A provider's share of new shards (`Placement.Candidate.weight`).
    package func placementWeight(of provider: NodeID) -> Double {
        score(of: provider).placementWeight
    }

    /// Our own word, or, of a provider that is new to us, the keepers'.
    package func score(of provider: NodeID) -> Score {
        let known = state.withLock { $0.view.providers[provider]?.score }
        return known ?? score(of: provider, at: now())
    }

    private func score(of provider: NodeID, at time: Timestamp) -> Score {
        let own = book.history(of: provider).map { Score(of: $0, at: time) }
        let told = state.withLock { $0.keeperScores[provider] }
        guard let own else { return told ?? .unknown }
        guard let told, own.isNew, !own.isBarred, !told.isNew || told.isBarred else { return own }
        // What we saw ourselves of a newcomer may be worse.
        return own.value < told.value * own.ramp ? own : told
    }

    /// A read or a put of a shard went well, or not; cheap enough for every one of them.
    package func noteTransfer(with provider: NodeID, ok: Bool) {
        transfers.withLock { transfers in
            var (good, bad) = transfers[provider] ?? (0, 0)
            if ok { good += 1 } else { bad += 1 }
            transfers[provider] = (good, bad)
        }
    }

    /// Transfers of one tick that count one by one; thousands of good ones say no more.
    private static let transfersMax = 16

    func foldTransfers(at time: Timestamp) {
        let seen = transfers.withLock { transfers in
            defer { transfers = [:] }
            return transfers
        }
        for (provider, (good, bad)) in seen {
            book.note(provider) { history in
                for _ in 0..<min(good, Self.transfersMax) { history.noteRead(ok: true, at: time) }
                for _ in 0..<min(bad, Self.transfersMax) { history.noteRead(ok: false, at: time) }
            }
        }
    }

    // MARK: Looking

    /// Looks at the directory, and at what changed in it.
    func look(at time: Timestamp) {
        let isDue = state.withLock {
            Self.isOver($0.lookedAt, configuration.lookInterval.inSeconds, time)
        }
        guard isDue else { return }
        state.withLock { $0.lookedAt = time }
        let records: [ProviderRecord]
        do throws(NetworkError) {
            records = try network.providers()
            remark("directory", nil)
        } catch {
            remark("directory", "no list of providers: \(error)")
            return
        }
        let live = Dictionary(
            book.liveOrders.map { ($0.provider, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        for record in records {
            book.note(record.id) { $0.noteSeen(up: record.isUp, at: time) }
        }
        let listed = Set(records.map(\.id))
        for provider in live.keys where !listed.contains(provider) {
            book.note(provider) { $0.noteSeen(up: false, at: time) }
        }
        let (before, unreachable) = state.withLock { ($0.view, $0.unreachableSince) }
        let grace = configuration.suspicionGrace.inSeconds
        var providers: [NodeID: NetworkView.Provider] = [:]
        for record in records {
            let downSince = record.isUp ? nil : book.history(of: record.id)?.downSince ?? time
            // Heartbeats count for half a minute after the last: a question without an answer may
            // have told of it before them.
            let since = [downSince, unreachable[record.id]].compactMap { $0 }.min()
            providers[record.id] = NetworkView.Provider(
                record: record,
                score: score(of: record.id, at: time),
                suspectSince: since,
                isAccused: live[record.id]?.last?.verdict.isAccusation ?? false,
                isMissed: since.map { time.seconds(since: $0) >= grace } ?? false
            )
        }
        var absent: [NodeID: Timestamp] = [:]
        for provider in live.keys where !listed.contains(provider) {
            absent[provider] = book.history(of: provider)?.downSince
        }
        let view = NetworkView(providers: providers, absent: absent, at: time)
        state.withLock { state in
            state.view = view
            if view.signature != before.signature { state.mustScan = true }
        }
        for record in records where record.isUp {
            if before.providers[record.id]?.record.isUp != true {
                noteReturned(record.id, order: live[record.id]?.id, at: time)
            }
        }
    }

    /// A provider is up that was not, or that we see for the first time.
    private func noteReturned(_ provider: NodeID, order: OrderID?, at time: Timestamp) {
        let until = time.adding(seconds: Double(configuration.spareSeconds))
        book.attempt("copies") { (store) throws(SQLiteError) in
            _ = try store.changeStrays(at: provider, from: .away, to: .here, due: until)
        }
        guard let order else { return }
        state.withLock { state in
            // It is to show soon that it has everything, and not only in the next epoch.
            guard state.unreachableSince[provider] != nil, state.agenda.epoch != nil else { return }
            state.agenda.again(order, at: time, isSecondLook: false)
        }
    }

    // MARK: Scores of keepers

    func askForScores(at time: Timestamp) {
        let isDue = state.withLock { state -> Bool in
            if let due = state.scoresDue, due > time { return false }
            state.scoresDue = time.adding(seconds: Self.scoresInterval)
            return true
        }
        guard isDue else { return }
        runOnce(.scores, "scores") { [self] in
            var scores: [NodeID: Score] = [:]
            var after: NodeID?
            for _ in 0..<Self.scorePagesMax {
                let query = ListScores(after: after)
                guard
                    let page = try? network.ask(query)
                        .wait(for: ListScores.timeout + OrderBook.patience)
                else { return }
                for score in page.scores
                where identity.keepers.contains(score.keeperKey) && score.isSignatureValid {
                    scores[score.provider] = score.score
                }
                after = page.scores.last?.provider
                if !page.hasMore || page.scores.isEmpty { break }
            }
            state.withLock { $0.keeperScores = scores }
        }
    }
}
