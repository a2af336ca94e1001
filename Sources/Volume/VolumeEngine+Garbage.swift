package import Metadata
package import Primitives
import Auditor
import Disk
import Logging
import Network
import Proofs
import Transport

extension VolumeEngine {
    /// A stripe with less alive is written anew when somebody asks for room: then providers hold at
    /// most a twentieth more than what is alive.
    package static let sparseBelowWhenAsked = 0.95
    /// Stripes written anew between two drains.
    private static let sparseBatch = 8
    /// How long dead shards of providers that are up are waited for.
    private static let deletionMax: Duration = .seconds(60)

    /// What the volume keeps at providers, and why.
    package func stripeUse() throws(FileSystemError) -> StripeUse {
        try metadata.stripeUse(sparseBelow: Self.sparseBelowWhenAsked)
    }

    /// Gives back all room at providers that neither files nor kept heads need: writes stripes anew
    /// that are not nearly full of live blocks, has a head registered that does without the old
    /// ones, and has their shards deleted.
    ///
    /// May be killed at any moment: every step is durable before the one that destroys.
    ///
    /// - Returns: What is kept then.
    /// - Throws: `unavailable` if blocks cannot be moved for lack of providers or keepers.
    package func collectGarbage() throws(FileSystemError) -> StripeUse {
        try placeAll { _ in }
        while true {
            let before = try stripeUse().sparseBytes
            let moved = try reclaimer.rewriteStripes(
                liveBelow: Self.sparseBelowWhenAsked,
                limit: Self.sparseBatch
            )
            guard moved > 0 else { break }
            try uploader.drain { _ in }
            // Blocks that programs write to just now, or that cannot be read, stay where they are.
            guard try stripeUse().sparseBytes < before else { break }
        }
        try claimStrays()
        _ = try checkpoints?.checkpoint()
        let deadline = Clock.monotonic() + Self.deletionMax
        while Clock.monotonic() < deadline {
            let before = try stripeUse()
            guard before.waitingStripes + before.deadShards > 0 else { break }
            try reclaimer.collectNow()
            // Providers that are away keep theirs for later.
            guard try stripeUse() != before else { break }
        }
        return try stripeUse()
    }

    /// How many shards that nothing needs here are kept by their providers because of a lock, and
    /// until when the last of them is; `nil` if nobody was asked.
    package func retainedShards() throws(FileSystemError) -> (count: Int, until: Timestamp?)? {
        guard let held = try reclaimer.retained() else { return nil }
        let until = held.times.map { Timestamp(seconds: $0.upperBound, nanoseconds: 0) }
        return (held.count, until)
    }

    /// Shards of an order looked at in one turn.
    private static let entriesPage = 4096
    /// How long a provider that is up is waited for when it is asked for loose shards.
    private static let loosePatience: Duration = .seconds(60)

    /// A shard that a provider holds for this volume.
    private struct HeldShard {
        let provider: NodeID
        let entry: OrderEntry
    }

    /// Has shards deleted that providers hold and that the metadata does not know: a machine that
    /// was lost had placed them after its last head.
    ///
    /// The providers are asked before the metadata is read, which knows of every shard before it is
    /// sent and until it is deleted.
    private func claimStrays() throws(FileSystemError) {
        guard let custody, configuration.mayPublish() else { return }
        custody.book.flush()
        var held: [HeldShard] = []
        do throws(NetworkError) {
            for provider in try network.providers() {
                held += try orderedShards(at: provider.id, custody.book)
                if provider.isUp { held += looseShards(at: provider.id) }
            }
        } catch {
            throw FileSystemError(.unavailable, "orders cannot be looked at: \(error.message)")
        }
        let known = try metadata.shardIDs()
        // Whatever was held is a lost machine's only if no other one may have written meanwhile.
        guard configuration.mayPublish() else { return }
        let strays = held.filter { !known.contains($0.entry.shard) }
        for stray in strays {
            let record = ShardRecord(
                index: 0,
                shard: stray.entry.shard,
                provider: stray.provider,
                root: stray.entry.root
            )
            try metadata.keepGarbage(
                record,
                shardBytes: Int(clamping: stray.entry.bytes),
                code: configuration.code,
                under: StripeBuilder.newID(StripeID.self)
            )
        }
        guard !strays.isEmpty else { return }
        logger.notice("\(strays.count) shards that nobody knows of are given back")
    }

    private func orderedShards(
        at provider: NodeID,
        _ book: OrderBook
    ) throws(NetworkError) -> [HeldShard] {
        var held: [HeldShard] = []
        var position: Int? = 0
        while let from = position {
            let page = try book.shards(at: provider, from: from, limit: Self.entriesPage)
            held += page.entries.map { HeldShard(provider: provider, entry: $0) }
            position = page.next
        }
        return held
    }

    /// Shards of this volume that are in no order.
    ///
    /// Of a provider that does not tell, none: it may tell the next time.
    private func looseShards(at provider: NodeID) -> [HeldShard] {
        var held: [HeldShard] = []
        var after: ShardID?
        do throws(NetworkError) {
            repeat {
                let page = try network.ask(ListLoose(after: after), of: provider)
                    .wait(for: Self.loosePatience)
                held += page.shards
                    .filter { ShardNames.isShard($0.shard, of: configuration.id) }
                    .map { HeldShard(provider: provider, entry: $0) }
                if let next = page.next, let last = after, next <= last {
                    throw NetworkError(.malformed, "it goes round in circles")
                }
                after = page.next
            } while after != nil
        } catch {
            logger.info("provider \(provider.short) does not tell what is loose: \(error.message)")
        }
        return held
    }
}
