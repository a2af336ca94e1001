import Logging
import Network
import Primitives
import Reliability
import Sealing
import Transport

extension Repairer {
    /// Time for one strip; at 1 MiB this is a link of half a megabit.
    private static let readPatience = Duration.seconds(15)

    /// The unmasked strip of a helper, or `nil` if its holder does not give it.
    func read(
        _ holdings: [ShardHolding],
        _ range: Range<Int>
    ) -> [(holding: ShardHolding, bytes: [UInt8]?)] {
        let requests = holdings.map { holding in
            network.get(
                holding.shard,
                from: holding.provider,
                offset: range.lowerBound,
                count: range.count
            )
        }
        return zip(holdings, requests).map { holding, request in
            do {
                var bytes = try request.wait(for: Self.readPatience)
                guard bytes.count == range.count else { return (holding, nil) }
                spent(bytes.count)
                try bytes.withUnsafeMutableBytes {
                    try ShardMask.apply(
                        to: $0,
                        key: identity.repairKey.maskKey(for: holding.shard),
                        offset: range.lowerBound
                    )
                }
                return (holding, bytes)
            } catch let error as NetworkError {
                noteUnread(holding, error)
                return (holding, nil)
            } catch {
                logger.error("shard \(holding.shard.short) cannot be unmasked: \(error)")
                return (holding, nil)
            }
        }
    }

    private func noteUnread(_ holding: ShardHolding, _ error: NetworkError) {
        let time = book.now()
        book.note(holding.provider) { $0.noteRead(ok: false, at: time) }
        switch error.code {
        case .notFound: book.noteLost([holding.shard], at: holding.provider, .missing)
        case .corrupt: book.noteLost([holding.shard], at: holding.provider, .corrupt)
        default: logger.debug("shard \(holding.shard.short) is not to be had: \(error)")
        }
    }

    /// Reads shards whole to see which of them have not their root; those are lost.
    func findWrong(
        _ used: [ShardHolding],
        of stripe: StripeManifest,
        _ bytes: inout Int
    ) -> Set<UInt8> {
        var wrong: Set<UInt8> = []
        for holding in used {
            guard let shard = readWhole(holding, shardBytes: Int(stripe.shardBytes)) else {
                wrong.insert(holding.index)
                continue
            }
            bytes += shard.count
            if shard.withUnsafeBytes({ MerkleTree.root(of: $0) }) != holding.root {
                noteWrong(holding)
                wrong.insert(holding.index)
            }
        }
        return wrong
    }

    func noteWrong(_ holding: ShardHolding) {
        logger.error(
            "provider \(holding.provider.short) gives wrong bytes for shard \(holding.shard.short)"
        )
        let time = book.now()
        if book.noteLost([holding.shard], at: holding.provider, .corrupt) > 0 {
            book.note(holding.provider) {
                $0.noteRepair(lostShards: 1, selfReported: false, at: time)
            }
        }
    }

    /// A shard as it is stored, strip after strip.
    func readWhole(_ holding: ShardHolding, shardBytes: Int) -> [UInt8]? {
        var shard: [UInt8] = []
        shard.reserveCapacity(shardBytes)
        for start in stride(from: 0, to: shardBytes, by: Self.stripBytes) {
            let count = min(Self.stripBytes, shardBytes - start)
            do throws(NetworkError) {
                let strip = try network.get(
                    holding.shard,
                    from: holding.provider,
                    offset: start,
                    count: count
                ).wait(for: Self.readPatience)
                guard strip.count == count else { return nil }
                spent(count)
                shard += strip
            } catch {
                noteUnread(holding, error)
                return nil
            }
        }
        return shard
    }

    /// Whether a shard has its root where it is, read whole; `nil` if it cannot be read.
    func check(_ holding: ShardHolding, shardBytes: Int) -> Bool? {
        guard let shard = readWhole(holding, shardBytes: shardBytes) else {
            return book.loss(holding.shard, at: holding.provider) == nil ? nil : false
        }
        guard shard.withUnsafeBytes({ MerkleTree.root(of: $0) }) == holding.root else {
            noteWrong(holding)
            return false
        }
        return true
    }
}
