import Disk
package import Metadata
package import Primitives

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
}
