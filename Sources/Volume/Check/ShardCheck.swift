import Metadata
import Network
import Primitives
import Sealing
import Transport

/// Asks providers for the shards that the metadata says they hold.
///
/// A provider that does not answer is no finding: the volume is made to bear that.
struct ShardCheck {
    /// How long a provider may take for one byte, and for a whole shard: 4 MiB at 1 Mbit/s.
    private static let patience: Duration = .seconds(10)
    private static let shardPatience: Duration = .seconds(40)
    /// Shards in a row that a provider leaves unanswered before it is asked for no more.
    private static let silencesMax = 3
    /// Stripes asked about at once; times `n` requests are on their way.
    private static let page = 32
    /// Requests on their way at once, also with wide codes.
    private static let requestsMax = 256

    private let configuration: VolumeConfiguration
    private let metadata: MetadataCheck
    private let network: any StorageNetwork
    private let isDeep: Bool
    private let comparesCache: Bool
    private let faults: VolumeFaults?

    /// `comparesCache`: whether the cache is the one the metadata speaks of, and its clean blocks
    /// are what was placed.
    init(
        _ configuration: VolumeConfiguration,
        _ metadata: MetadataCheck,
        _ network: any StorageNetwork,
        isDeep: Bool,
        comparesCache: Bool,
        faults: VolumeFaults? = nil
    ) {
        self.faults = faults
        self.configuration = configuration
        self.metadata = metadata
        self.network = network
        self.isDeep = isDeep
        self.comparesCache = comparesCache
    }

    /// What came of asking for a shard.
    private enum Answer {
        case right([UInt8])
        case missing
        case wrong(String)
        case unseen
    }

    func run(
        into report: inout CheckReport,
        progress: (CheckProgress) -> Void
    ) throws(FileSystemError) {
        let total = try metadata.placedStripeCount()
        guard var patience = patienceOfProviders() else {
            report.note(.unseenShard, count: report.shards)
            return
        }
        var last: StripeID?
        var done: UInt64 = 0
        while true {
            progress(CheckProgress(.providers, done: done, total: total))
            let page = try metadata.placedStripes(after: last, limit: isDeep ? 1 : Self.page)
            guard let end = page.last else { return }
            last = end.id
            var start = 0
            while start < page.count {
                // At least one stripe, however wide.
                let count = isDeep ? 1 : max(1, Self.requestsMax / page[start].code.n)
                let part = page[start..<min(page.count, start + count)]
                try check(part, &patience, &report)
                start += part.count
            }
            done += UInt64(page.count)
        }
    }

    /// By provider, how often it may still not answer; 0 of those that are known to be away.
    ///
    /// `nil` if nobody tells which providers there are.
    private func patienceOfProviders() -> [NodeID: Int]? {
        guard let providers = try? network.providers() else { return nil }
        var patience: [NodeID: Int] = [:]
        for provider in providers { patience[provider.id] = provider.isUp ? Self.silencesMax : 0 }
        return patience
    }

    private func check(
        _ stripes: ArraySlice<StripeRecord>,
        _ patience: inout [NodeID: Int],
        _ report: inout CheckReport
    ) throws(FileSystemError) {
        let requests = stripes.map { stripe in
            stripe.shards.map { shard -> Pending<[UInt8]>? in
                guard patience[shard.provider, default: 0] > 0, stripe.shardBytes > 0 else {
                    return nil
                }
                // The last byte is there only if all before it are.
                return network.get(
                    shard.shard,
                    from: shard.provider,
                    offset: isDeep ? 0 : stripe.shardBytes - 1,
                    count: isDeep ? stripe.shardBytes : 1
                )
            }
        }
        for (stripe, requests) in zip(stripes, requests) {
            var right: [(index: Int, bytes: [UInt8])] = []
            var unseen = 0
            for (shard, request) in zip(stripe.shards, requests) {
                switch answer(request, shard, of: stripe, &patience) {
                case .right(let bytes):
                    report.shardsSeen += 1
                    right.append((shard.index, bytes))
                case .unseen: unseen += 1
                case .missing:
                    try add(.shardMissing, shard, of: stripe, "is not there", &report)
                case .wrong(let what): try add(.wrongShard, shard, of: stripe, what, &report)
                }
            }
            report.note(.unseenShard, count: UInt64(unseen))
            if right.count + unseen < stripe.code.k {
                faults?.add(.lostStripe(stripe.id))
                report.add(
                    CheckFinding(
                        .stripeLost,
                        "stripe \(stripe.id)",
                        "\(right.count) of its \(stripe.code.n) shards are left, and"
                            + " \(stripe.code.k) are needed"
                    )
                )
            } else if isDeep, right.count >= stripe.code.k {
                try StripeContentCheck(
                    configuration,
                    metadata,
                    stripe,
                    comparesCache: comparesCache,
                    faults: faults
                ).run(shards: right, into: &report)
            }
        }
    }

    private func answer(
        _ request: Pending<[UInt8]>?,
        _ shard: ShardRecord,
        of stripe: StripeRecord,
        _ patience: inout [NodeID: Int]
    ) -> Answer {
        guard let request else { return .unseen }
        do throws(NetworkError) {
            let bytes = try request.wait(for: isDeep ? Self.shardPatience : Self.patience)
            patience[shard.provider] = Self.silencesMax
            guard bytes.count == (isDeep ? stripe.shardBytes : 1) else {
                return .wrong("gave \(bytes.count) bytes")
            }
            guard isDeep else { return .right(bytes) }
            let root = bytes.withUnsafeBytes { MerkleTree.root(of: $0) }
            return root == shard.root ? .right(bytes) : .wrong("has other bytes than its root says")
        } catch {
            switch error.code {
            case .notFound: return .missing
            case .corrupt, .malformed, .unauthorized: return .wrong(error.message)
            case .unreachable, .timedOut, .closed, .refused, .full, .exists, .conflict,
                .superseded, .retained:
                patience[shard.provider, default: 1] -= 1
                return .unseen
            }
        }
    }

    /// A shard that is not as it should be; noted if the next mount is asked to see to it already.
    private func add(
        _ kind: CheckFinding.Kind,
        _ shard: ShardRecord,
        of stripe: StripeRecord,
        _ what: String,
        _ report: inout CheckReport
    ) throws(FileSystemError) {
        // The mark is counted with the rows of the database.
        if try metadata.isDoubted(shard.index, of: stripe.id) { return }
        faults?.add(.doubt(shard.index, of: stripe.id))
        report.add(
            CheckFinding(
                kind,
                "shard \(shard.index) of stripe \(stripe.id)",
                "shard \(shard.shard) at provider \(shard.provider): \(what)"
            )
        )
    }
}
