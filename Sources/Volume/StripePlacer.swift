import Disk
import Logging
import Metadata
import Network
import Placement
import Primitives
import Synchronization
import Transport

/// How far the stripe that carries some blocks is placed.
final class StripeProgress: Sendable {
    let shardCount: Int
    let acknowledged = Atomic<Int>(0)

    init(shardCount: Int) { self.shardCount = shardCount }
}

/// Sends the shards of a stripe to distinct providers until every one is acknowledged.
///
/// A provider that fails is replaced by another; what it may have got is remembered as garbage.
/// Fewer than all `n` shards is not placed: the blocks stay dirty.
struct StripePlacer: Sendable {
    /// How long one shard may take to be acknowledged.
    ///
    /// At 4 MiB this is a link of 1 Mbit/s.
    private static let patience: Duration = .seconds(40)
    /// Rounds of replacing providers that failed, before the stripe is given up.
    private static let roundsMax = 4

    let network: any StorageNetwork
    let metadata: MetadataStore
    let meters: Meters
    let custody: VolumeCustody?
    let logger: Logger

    /// Throws if a stripe could not be placed now for lack of providers, before anything is
    /// compressed and sealed for nothing.
    func checkProviders(for code: ErasureCode) throws(FileSystemError) {
        let providers = try directory()
        let up = providers.count { $0.isUp && !$0.isLeaving }
        guard up >= code.n else {
            throw FileSystemError(
                .unavailable,
                "\(up) of \(providers.count) providers are up, \(code) needs \(code.n):"
                    + " start or add providers"
            )
        }
    }

    private func directory() throws(FileSystemError) -> [ProviderRecord] {
        do throws(NetworkError) {
            return try network.providers()
        } catch {
            throw FileSystemError(.unavailable, "no directory of providers: \(error.message)")
        }
    }

    /// Chooses a provider for each shard and records the stripe as being placed.
    func begin(
        _ stripe: StripeID,
        code: ErasureCode,
        payloadBytes: Int,
        ids: [ShardID],
        roots: [Digest]
    ) throws(FileSystemError) -> StripeRecord {
        let shardBytes = code.shardBytes(payloadBytes: payloadBytes)
        let chosen = try choose(
            code.n,
            shardBytes: shardBytes,
            code: code,
            stripe: stripe,
            holding: [],
            excluding: []
        )
        var shards: [ShardRecord] = []
        for index in 0..<code.n {
            shards.append(
                ShardRecord(
                    index: index,
                    shard: ids[index],
                    provider: chosen[index].id,
                    root: roots[index]
                )
            )
        }
        let record = StripeRecord(
            id: stripe,
            code: code,
            payloadBytes: payloadBytes,
            shardBytes: shardBytes,
            shards: shards
        )
        try metadata.beginStripe(record)
        DurableStep.note(.stripeBegun)
        return record
    }

    /// Sends all shards; on return each is on its provider's disk.
    ///
    /// - Throws: `unavailable` or `noSpace`, saying which providers are missing.
    func place(
        _ stripe: StripeRecord,
        bytes: [Payload],
        progress: StripeProgress
    ) throws(FileSystemError) {
        var shards = stripe.shards
        var waiting = Array(shards.indices)
        var failed: Set<NodeID> = []
        for _ in 0..<Self.roundsMax {
            let lost = send(waiting, of: shards, bytes: bytes, progress: progress)
            guard !lost.isEmpty else { return }
            for index in lost { failed.insert(shards[index].provider) }
            let holders = shards.indices.filter { !lost.contains($0) }.map { shards[$0].provider }
            let replacements = try choose(
                lost.count,
                shardBytes: stripe.shardBytes,
                code: stripe.code,
                stripe: stripe.id,
                holding: holders,
                excluding: failed
            )
            for (index, replacement) in zip(lost, replacements) {
                let old = shards[index]
                shards[index] = ShardRecord(
                    index: old.index,
                    shard: old.shard,
                    provider: replacement.id,
                    root: old.root
                )
                try metadata.reassignShard(
                    of: stripe.id,
                    from: old,
                    to: shards[index],
                    garbage: StripeBuilder.newID(StripeID.self)
                )
            }
            // Before the first of them is sent: after a power cut nobody else would know who has
            // it.
            try metadata.sync()
            DurableStep.note(.stripeBegun)
            waiting = lost
        }
        throw FileSystemError(
            .unavailable,
            "providers kept failing while a stripe was placed; see the log"
        )
    }

    /// Sends some shards at once; the indices of those that were not acknowledged.
    ///
    /// Providers take shards under an order only.
    private func send(
        _ indices: [Int],
        of shards: [ShardRecord],
        bytes: [Payload],
        progress: StripeProgress
    ) -> [Int] {
        let requests = indices.map { index in
            let shard = shards[index]
            do throws(NetworkError) {
                try custody?.ensureOrder(with: shard.provider)
            } catch {
                return Pending<Void>(.failure(error))
            }
            return network.put(
                shard.shard,
                to: shard.provider,
                payload: bytes[index],
                root: shard.root
            )
        }
        var lost: [Int] = []
        for (index, request) in zip(indices, requests) {
            do {
                try request.wait(for: Self.patience)
                DurableStep.note(.shardAcknowledged)
                custody?.noteTransfer(with: shards[index].provider, ok: true)
                meters.uploadedBytes.add(UInt64(bytes[index].count), ordering: .relaxed)
                progress.acknowledged.add(1, ordering: .relaxed)
            } catch {
                lost.append(index)
                custody?.noteTransfer(with: shards[index].provider, ok: false)
                logger.warning(
                    "provider \(shards[index].provider.short) took no shard: \(error.message)"
                )
            }
        }
        return lost
    }

    private func choose(
        _ count: Int,
        shardBytes: Int,
        code: ErasureCode,
        stripe: StripeID,
        holding: [NodeID],
        excluding: Set<NodeID>
    ) throws(FileSystemError) -> [Candidate] {
        let providers = try directory()
        let all = providers.map { provider in
            Candidate(
                id: provider.id,
                domain: provider.domain,
                freeBytes: provider.freeBytes,
                weight: custody?.placementWeight(of: provider.id) ?? 1
            )
        }
        let up = Set(providers.filter { $0.isUp && !$0.isLeaving }.map(\.id))
        let usable = all.filter { candidate in
            up.contains(candidate.id) && !excluding.contains(candidate.id)
                && !holding.contains(candidate.id)
        }
        do {
            return try Placement.choose(
                count,
                shardBytes: shardBytes,
                code: code,
                stripe: stripe,
                from: usable,
                holding: all.filter { holding.contains($0.id) }
            )
        } catch {
            throw FileSystemError(
                .unavailable,
                "\(error) (\(up.count) of \(providers.count) providers are up)"
            )
        }
    }
}
