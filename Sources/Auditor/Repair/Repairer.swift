import Erasure
import Logging
import Network
import Placement
import Primitives
import Reliability
import Proofs
import Sealing
import Synchronization
import Transport

/// Brings shards back or moves them: always the same shard, byte for byte, with the same root.
///
/// A shard is made of the same range of k others, strip by strip, and believed only if its root is
/// the recorded one; so memory is bounded, and k shards need no hashing unless one is wrong.
/// Whatever fails leaves the stripe as it was, and at most a copy too many, which is written down
/// before it is made.
final class Repairer: Sendable {
    /// Bytes of each helper in memory at once.
    static let stripBytes = 1 << 20
    /// Shards rebuilt at once: 32 MiB at most.
    static let shardsMax = 8

    /// What a repair is to know and to ask.
    struct Context: Sendable {
        let view: NetworkView
        /// Indices whose holders get the shard back: they reported the damage themselves.
        var inPlace: Set<Int> = []
        /// Whether a shard is still to be brought back, asked before it is put.
        var isNeeded: @Sendable (ShardHolding) -> Bool = { _ in true }
    }

    /// What was done.
    struct Outcome: Sendable {
        /// Shards that are where they should be now: index and provider.
        var done: [(index: Int, provider: NodeID)] = []
        /// Shards that could not be put, and why.
        var failures: [String] = []
        /// Bytes that came and went.
        var bytes = 0
    }

    let identity: CustodyIdentity
    let book: OrderBook
    let source: any StripeSource
    let network: any StorageNetwork
    let logger: Logger
    let spent: @Sendable (Int) -> Void

    /// `spent` is told of all bytes as they come and go.
    init(
        identity: CustodyIdentity,
        book: OrderBook,
        source: any StripeSource,
        network: any StorageNetwork,
        logger: Logger,
        spent: @escaping @Sendable (Int) -> Void
    ) {
        self.identity = identity
        self.book = book
        self.source = source
        self.network = network
        self.logger = logger
        self.spent = spent
    }

    // MARK: Rebuilding

    /// Rebuilds the shards `indices` of a stripe, at most `shardsMax` of them, and puts them to
    /// providers that hold none of it.
    ///
    /// - Throws: `unavailable`, `noPlace`, `cancelled`, `notAllowed` if nothing was put at all.
    func rebuild(
        _ stripe: StripeManifest,
        _ indices: [Int],
        _ context: Context
    ) throws(CustodyError) -> Outcome {
        try checkRights()
        let wanted = stripe.shards.filter { indices.contains(Int($0.index)) }
            .prefix(Self.shardsMax)
        let targets = try targets(for: Array(wanted), of: stripe, context)
        let chosen = wanted.filter { targets[$0.index] != nil }
        let buffers = ShardBuffers(count: chosen.count, bytes: Int(stripe.shardBytes))
        let bytes = try reconstruct(Array(chosen), of: stripe, context, into: buffers)
        var outcome = Outcome(bytes: bytes)
        for (position, holding) in chosen.enumerated() {
            guard let target = targets[holding.index] else { continue }
            deliver(
                holding,
                of: stripe,
                UnsafeRawBufferPointer(buffers[position]),
                to: target,
                context,
                &outcome
            )
        }
        guard !outcome.done.isEmpty else {
            throw CustodyError(.unavailable, outcome.failures.first ?? "nothing to rebuild")
        }
        return outcome
    }

    private func checkRights() throws(CustodyError) {
        guard identity.mayRepair(at: book.now()) else {
            throw CustodyError(.notAllowed, "the owner's grant does not allow repairs, or is over")
        }
    }

    /// A provider for each shard, as far as there are any.
    private func targets(
        for wanted: [ShardHolding],
        of stripe: StripeManifest,
        _ context: Context
    ) throws(CustodyError) -> [UInt8: NodeID] {
        var targets: [UInt8: NodeID] = [:]
        var elsewhere: [ShardHolding] = []
        for holding in wanted {
            if context.inPlace.contains(Int(holding.index)), canRepairInPlace(holding, context) {
                targets[holding.index] = holding.provider
            } else {
                elsewhere.append(holding)
            }
        }
        let (chosen, reason) = choose(elsewhere.count, for: stripe, context)
        for (holding, candidate) in zip(elsewhere, chosen) {
            targets[holding.index] = candidate.id
        }
        // Better at the one who lost it than nowhere.
        for holding in elsewhere.dropFirst(chosen.count) where canRepairInPlace(holding, context) {
            if book.loss(holding.shard, at: holding.provider) != nil {
                targets[holding.index] = holding.provider
            }
        }
        guard !targets.isEmpty else {
            throw CustodyError(.noPlace, "stripe \(stripe.id.short): \(reason)")
        }
        return targets
    }

    private func canRepairInPlace(_ holding: ShardHolding, _ context: Context) -> Bool {
        guard let provider = context.view.providers[holding.provider] else { return false }
        return provider.isReachable && !provider.record.isLeaving && !provider.score.isBarred
    }

    /// As many of `count` providers as there are for new shards of a stripe, and why not all.
    private func choose(
        _ count: Int,
        for stripe: StripeManifest,
        _ context: Context
    ) -> (chosen: [Candidate], reason: String) {
        let holding = stripe.shards.compactMap { holding in
            context.view.providers[holding.provider]?.candidate
                ?? Candidate(
                    id: holding.provider,
                    domain: holding.provider.hex,
                    freeBytes: 0,
                    weight: 0
                )
        }
        let candidates = context.view.providers.values.filter(\.mayTake).map(\.candidate)
        var count = count
        var reason = ""
        while count > 0 {
            do throws(PlacementError) {
                let chosen = try Placement.choose(
                    count,
                    shardBytes: Int(stripe.shardBytes),
                    code: stripe.code,
                    stripe: stripe.id,
                    from: candidates,
                    holding: holding
                )
                return (chosen, reason)
            } catch {
                switch error {
                case .tooFew(_, let available, let why):
                    reason = why
                    count = min(available, count - 1)
                }
            }
        }
        return ([], reason)
    }

    /// Makes shards of others; on return `buffers` has them masked, with the recorded roots.
    ///
    /// - Returns: Bytes read.
    private func reconstruct(
        _ wanted: [ShardHolding],
        of stripe: StripeManifest,
        _ context: Context,
        into buffers: ShardBuffers
    ) throws(CustodyError) -> Int {
        var helpers = helpers(of: stripe, without: wanted, context)
        var bytes = 0
        while true {
            guard helpers.count >= stripe.code.k else {
                throw CustodyError(
                    .unavailable,
                    "stripe \(stripe.id.short): \(helpers.count) of \(stripe.code.n) shards can be"
                        + " read, \(stripe.code.k) are needed"
                )
            }
            let pass = StripPass(stripe: stripe, stripBytes: Self.stripBytes)
            let used = Array(helpers.prefix(stripe.code.k))
            let failed = try pass.run(used, into: buffers, wanted: wanted, reading: read)
            bytes += pass.bytesRead
            if let failed {
                helpers.removeAll { $0.index == failed }
                continue
            }
            if try maskAndCheck(wanted, buffers) { return bytes }
            let wrong = findWrong(used, of: stripe, &bytes)
            guard !wrong.isEmpty else {
                throw CustodyError(
                    .unavailable,
                    "stripe \(stripe.id.short) does not come out with its recorded roots, although"
                        + " each shard has its own: it was recorded wrongly"
                )
            }
            helpers.removeAll { wrong.contains($0.index) }
        }
    }

    /// Holders that can be read from, the best first.
    private func helpers(
        of stripe: StripeManifest,
        without wanted: [ShardHolding],
        _ context: Context
    ) -> [ShardHolding] {
        let missing = Set(wanted.map(\.index))
        return stripe.shards.filter { holding in
            !missing.contains(holding.index) && context.view.isReachable(holding.provider)
                && book.loss(holding.shard, at: holding.provider) == nil
        }.sorted { first, second in
            score(first, context) > score(second, context)
        }
    }

    private func score(_ holding: ShardHolding, _ context: Context) -> Double {
        guard let provider = context.view.providers[holding.provider] else { return 0 }
        return provider.suspectSince == nil ? provider.score.value : -1
    }

    private func maskAndCheck(
        _ wanted: [ShardHolding],
        _ buffers: ShardBuffers
    ) throws(CustodyError) -> Bool {
        for (position, holding) in wanted.enumerated() {
            do throws(SealingError) {
                let root = try ShardMask.applyAndHash(
                    to: buffers[position],
                    key: identity.repairKey.maskKey(for: holding.shard)
                )
                guard root == holding.root else { return false }
            } catch {
                throw CustodyError(.unavailable, "a shard cannot be masked: \(error)")
            }
        }
        return true
    }

    // MARK: Moving

    /// Copies a shard from its holder, who leaves, to another provider.
    func relocate(
        _ stripe: StripeManifest,
        _ index: Int,
        _ context: Context
    ) throws(CustodyError) -> Outcome {
        try checkRights()
        guard let holding = stripe.shards.first(where: { Int($0.index) == index }) else {
            throw CustodyError(.cancelled, "stripe \(stripe.id.short) has no shard \(index)")
        }
        let (chosen, reason) = choose(1, for: stripe, context)
        guard let target = chosen.first else {
            throw CustodyError(.noPlace, "stripe \(stripe.id.short): \(reason)")
        }
        guard let shard = readWhole(holding, shardBytes: Int(stripe.shardBytes)) else {
            throw CustodyError(
                .unavailable,
                "provider \(holding.provider.short) gives no shard \(holding.shard.short)"
            )
        }
        var outcome = Outcome(bytes: shard.count)
        guard shard.withUnsafeBytes({ MerkleTree.root(of: $0) }) == holding.root else {
            noteWrong(holding)
            throw CustodyError(.unavailable, "shard \(holding.shard.short) rotted")
        }
        shard.withUnsafeBytes { bytes in
            deliver(holding, of: stripe, bytes, to: target.id, context, &outcome)
        }
        guard !outcome.done.isEmpty else {
            throw CustodyError(.unavailable, outcome.failures.first ?? "the shard was not moved")
        }
        return outcome
    }
}
