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

    /// Shards of an order looked at in one turn.
    private static let entriesPage = 4096

    /// Has shards deleted that are under order and that the metadata does not know: a machine that
    /// was lost had placed them after its last head.
    ///
    /// The orders are read before the metadata, which knows of every shard before it is sent and
    /// until it is out of its order.
    private func claimStrays() throws(FileSystemError) {
        guard let custody, configuration.mayPublish() else { return }
        custody.book.flush()
        var held: [(provider: NodeID, entry: OrderEntry)] = []
        do throws(NetworkError) {
            for provider in try network.providers().map(\.id) {
                var position: Int? = 0
                while let from = position {
                    let page = try custody.book.shards(
                        at: provider,
                        from: from,
                        limit: Self.entriesPage
                    )
                    held += page.entries.map { (provider, $0) }
                    position = page.next
                }
            }
        } catch {
            throw FileSystemError(.unavailable, "orders cannot be looked at: \(error.message)")
        }
        let known = try metadata.shardIDs()
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
}
