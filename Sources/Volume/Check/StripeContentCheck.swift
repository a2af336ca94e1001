import Cache
import Disk
import Erasure
import Metadata
import Primitives
import Sealing

/// Opens every block of a stripe from its shards, and compares what of it is cached.
struct StripeContentCheck {
    private let configuration: VolumeConfiguration
    private let metadata: MetadataCheck
    private let stripe: StripeRecord
    private let comparesCache: Bool
    private let faults: VolumeFaults?

    init(
        _ configuration: VolumeConfiguration,
        _ metadata: MetadataCheck,
        _ stripe: StripeRecord,
        comparesCache: Bool,
        faults: VolumeFaults? = nil
    ) {
        self.faults = faults
        self.configuration = configuration
        self.metadata = metadata
        self.stripe = stripe
        self.comparesCache = comparesCache
    }

    /// `shards` are at least `k`, whole, as their roots say.
    func run(
        shards: [(index: Int, bytes: [UInt8])],
        into report: inout CheckReport
    ) throws(FileSystemError) {
        guard let payload = payload(shards) else {
            faults?.add(.lostStripe(stripe.id))
            report.add(
                CheckFinding(.stripeLost, "stripe \(stripe.id)", "its shards cannot be decoded")
            )
            return
        }
        for key in try metadata.blocks(in: stripe.id) {
            do throws(FileSystemError) {
                guard let block = try metadata.block(key), let location = block.location else {
                    continue
                }
                let plain = try open(location, of: key, payload)
                try compare(plain, location, block, key, &report)
            } catch {
                guard error.code == .corrupt else { throw error }
                faults?.add(.unreadableBlock(key))
                report.add(CheckFinding(.unreadableBlock, key.subject, error.message))
            }
        }
    }

    /// The stripe's payload, unmasked; lost data shards are rebuilt.
    private func payload(_ shards: [(index: Int, bytes: [UInt8])]) -> [UInt8]? {
        let (k, length) = (stripe.code.k, stripe.shardBytes)
        // The first k, data before parity.
        let used = shards.sorted { $0.index < $1.index }.prefix(k)
        let source = UnsafeMutableRawBufferPointer.allocate(byteCount: k * length, alignment: 64)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: k * length, alignment: 64)
        defer {
            source.deallocate()
            target.deallocate()
        }
        func part(
            _ memory: UnsafeMutableRawBufferPointer,
            _ index: Int
        )
            -> UnsafeMutableRawBufferPointer
        {
            UnsafeMutableRawBufferPointer(rebasing: memory[index * length..<(index + 1) * length])
        }
        do {
            var views: [(index: Int, bytes: UnsafeRawBufferPointer)] = []
            for (position, shard) in used.enumerated() {
                guard let record = stripe.shards.first(where: { $0.index == shard.index }) else {
                    return nil
                }
                let view = part(source, position)
                view.copyBytes(from: shard.bytes)
                let maskKey = configuration.key.maskKey(for: record.shard)
                try ShardMask.apply(to: view, key: maskKey, offset: 0)
                views.append((shard.index, UnsafeRawBufferPointer(view)))
                if shard.index < k { part(target, shard.index).copyBytes(from: view) }
            }
            let there = Set(used.map(\.index))
            let lost = (0..<k).filter { !there.contains($0) }
            if !lost.isEmpty {
                try ErasureCoder(stripe.code).reconstruct(
                    lost,
                    from: views,
                    into: lost.map { part(target, $0) }
                )
            }
            return Array(target.prefix(stripe.payloadBytes))
        } catch {
            return nil
        }
    }

    /// The plaintext of a block.
    private func open(
        _ location: BlockLocation,
        of key: Metadata::BlockKey,
        _ payload: [UInt8]
    ) throws(FileSystemError) -> [UInt8] {
        guard let wrapped = try metadata.fileKey(of: key.ino) else {
            throw FileSystemError(.corrupt, "the key of its file is missing")
        }
        let segments = location.segmentBytes.indices
        let range = try location.payloadRange(of: 0...segments.upperBound - 1, in: stripe)
        guard range.upperBound <= payload.count else {
            throw FileSystemError(.corrupt, "its place is past the end of the stripe")
        }
        var plain = [UInt8](repeating: 0, count: Int(location.plainBytes))
        do {
            let fileKey = try configuration.key.unwrap(wrapped, for: key.ino)
            let blockKey = fileKey.blockKey(stripe: stripe.id, offset: location.offset)
            let sealer = try SegmentSealer()
            try plain.withUnsafeMutableBytes { plain in
                try payload.withUnsafeBytes { payload in
                    var at = range.lowerBound
                    for segment in segments {
                        let end = at + Int(location.segmentBytes[segment])
                        let from = segment * Geometry.segmentBytes
                        let to = min(plain.count, from + Geometry.segmentBytes)
                        try sealer.open(
                            UnsafeRawBufferPointer(rebasing: payload[at..<end]),
                            index: segment,
                            key: blockKey,
                            into: UnsafeMutableRawBufferPointer(rebasing: plain[from..<to])
                        )
                        at = end
                    }
                }
            }
            return plain
        } catch {
            throw FileSystemError(
                .corrupt,
                "its shards are right, and it cannot be opened: \(error)"
            )
        }
    }

    /// Compares the segments of a clean block that are called cached.
    private func compare(
        _ plain: [UInt8],
        _ location: BlockLocation,
        _ block: BlockState,
        _ key: Metadata::BlockKey,
        _ report: inout CheckReport
    ) throws(FileSystemError) {
        guard comparesCache, block.dirtySince == nil, block.resident != 0,
            try !metadata.isPassthrough(key.ino)
        else { return }
        let path = CacheStore.path(of: key.ino, in: configuration.cacheDirectory)
        // Without the file nothing counts as cached.
        guard WholeFile.exists(path) else { return }
        let valid = Int(location.validBytes)
        var cached: [UInt8]
        do throws(DiskError) {
            cached = try Descriptor(opening: path).read(at: key.index.offset, count: valid)
        } catch {
            faults?.add(.unreadableFile(key.ino))
            report.add(CheckFinding(.unreadableCacheFile, path, error.description))
            return
        }
        report.cacheBytesRead += UInt64(cached.count)
        cached += [UInt8](repeating: 0, count: valid - cached.count)
        let resident = SegmentMask(rawValue: block.resident)
        for segment in location.segmentBytes.indices where resident.contains(segment: segment) {
            let from = min(valid, segment * Geometry.segmentBytes)
            let to = min(valid, from + Geometry.segmentBytes)
            guard cached[from..<to] != plain[from..<to] else { continue }
            faults?.add(.wrongBytes(key, segment: segment))
            report.add(
                CheckFinding(
                    .wrongCacheBytes,
                    path,
                    "segment \(segment) of block \(key.index.rawValue) is not what was placed"
                )
            )
        }
    }
}
