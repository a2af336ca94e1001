import Disk
import Metadata
import Primitives
import Volume

/// The end of a trial: everything that can be is made well, and then everything must be well.
struct Finale {
    let engine: VolumeEngine
    let model: Model
    let network: TrialNetwork
    let life: Life

    /// How long the engine may take to place all, by the virtual clock.
    private static let drainMax: Duration = .seconds(600)
    /// How long dead shards may stay with providers that answer.
    private static let settleMax: Duration = .seconds(300)

    /// All drains, and what providers hold becomes what the volume needs.
    func drain() throws(TrialFailure) {
        let deadline = Clock.monotonic() + Self.drainMax
        while true {
            do throws(FileSystemError) {
                try engine.syncToNetwork { _ in }
                let status = engine.status()
                // A head that did not get through is no failure of what is placed, but tried again.
                if status.totals.dirtyBlocks == 0, status.checkpoints?.trouble == nil { return }
            } catch {
                guard Clock.monotonic() < deadline else {
                    throw TrialFailure("with all providers well: \(error.message)")
                }
            }
            guard Clock.monotonic() < deadline else {
                throw TrialFailure("something stays dirty with all providers well")
            }
        }
    }

    /// Waits until providers hold the shards of live stripes and no others.
    func settle() throws(TrialFailure) {
        let deadline = Clock.monotonic() + Self.settleMax
        while true {
            Clock.sleep(for: .seconds(15))
            try drain()
            guard let difference = try difference() else { return }
            guard Clock.monotonic() < deadline else { throw TrialFailure(difference) }
        }
    }

    /// Where what providers hold is not what live stripes need.
    private func difference() throws(TrialFailure) -> String? {
        let needed: [StripeRecord]
        do throws(FileSystemError) {
            needed = try engine.placedStripes()
        } catch {
            throw TrialFailure("the stripes cannot be listed: \(error.message)")
        }
        let (held, complaints) = network.shards()
        if let complaint = complaints.first { throw TrialFailure(complaint) }
        let all = Set(needed.flatMap(\.shards).map(\.shard))
        let missing = needed.flatMap(\.shards)
            .filter { !held.contains($0.shard) && !network.isFrail($0.provider) }
        if let first = missing.first {
            throw TrialFailure(
                "\(missing.count) shards of live stripes are gone from providers that lose"
                    + " nothing, first \(first.shard.short)"
            )
        }
        let leaked = held.subtracting(all)
        guard let first = leaked.min() else { return nil }
        return "\(leaked.count) shards are held and needed by nobody, first \(first.short)"
    }

    /// Reads everything and compares it with the model.
    func readBack(_ when: String) throws(TrialFailure) {
        do throws(TrialFailure) {
            let judge = Judge(model: model, engine: engine, life: life, stop: .close)
            _ = try judge.judge()
        } catch {
            throw TrialFailure("\(when): \(error.message)")
        }
    }

    func dropCache() throws(TrialFailure) {
        do throws(FileSystemError) {
            _ = try engine.dropCache()
        } catch {
            throw TrialFailure("the cache cannot be dropped: \(error.message)")
        }
    }
}
