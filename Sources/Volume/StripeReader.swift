import Erasure
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Synchronization
import Transport

/// Reads ranges of a stripe's payload from its shards, from any `k` of them if need be.
///
/// Shards are trusted with nothing: the caller checks what comes back by its AEAD tags and, if
/// they fail, asks again with other shards (`suspicions`).
final class StripeReader: Sendable {
    /// How long a shard may take before the bytes are rebuilt from others: far above a healthy
    /// answer, below what a person calls a hang.
    private static let patience: Duration = .seconds(3)
    /// How long rebuilding waits for each of the other shards.
    private static let rebuildPatience: Duration = .seconds(10)

    private let network: any StorageNetwork
    private let key: VolumeKey
    private let meters: Meters
    private let custody: VolumeCustody?
    private let logger: Logger

    init(
        network: any StorageNetwork,
        key: VolumeKey,
        meters: Meters,
        custody: VolumeCustody?,
        logger: Logger
    ) {
        self.network = network
        self.key = key
        self.meters = meters
        self.custody = custody
        self.logger = logger
    }

    /// The part of a payload range that lies in one data shard.
    private struct Piece {
        let shard: Int
        /// First byte within the shard.
        let offset: Int
        let count: Int
    }

    /// Reads payload bytes, from data shards where they answer and rebuilt where not.
    ///
    /// `distrusted` are indices of shards whose bytes must not be used.
    ///
    /// - Throws: `unavailable` if fewer than `k` shards can be read.
    func read(
        _ stripe: StripeRecord,
        _ range: Range<Int>,
        distrusting distrusted: Set<Int> = []
    ) throws(FileSystemError) -> [UInt8] {
        let pieces = pieces(of: range, in: stripe)
        let requests = pieces.map { piece in
            distrusted.contains(piece.shard) ? nil : get(piece, of: stripe)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for (piece, request) in zip(pieces, requests) {
            if let request, let part = receive(request, piece, of: stripe, for: Self.patience) {
                bytes += part
                continue
            }
            bytes += try rebuild(piece, of: stripe, distrusting: distrusted)
        }
        return bytes
    }

    /// The sets of shards worth distrusting when bytes of `range` fail their tags, likeliest
    /// first: each shard that held them, then all of those, then every two of them, then each with
    /// another, for a wrong shard among those used to rebuild.
    func suspicions(_ stripe: StripeRecord, _ range: Range<Int>) -> [Set<Int>] {
        let holders = pieces(of: range, in: stripe).map(\.shard)
        var sets = holders.map { Set([$0]) } + [Set(holders)]
        for (position, one) in holders.enumerated() {
            for two in holders[(position + 1)...] { sets.append([one, two]) }
        }
        for other in 0..<stripe.code.n where !holders.contains(other) {
            sets.append(Set(holders + [other]))
            for holder in holders { sets.append([holder, other]) }
        }
        return sets.filter { $0.count <= stripe.code.m }
    }

    /// Tells the log, `mefs status` and the custodian of shards that gave wrong bytes.
    func report(_ indices: Set<Int>, of stripe: StripeRecord) {
        for shard in stripe.shards where indices.contains(shard.index) {
            let message = "shard \(shard.shard.short) at provider \(shard.provider.short) is wrong"
            meters.noteShardError(message)
            custody?.noteDoubt(shard.index, of: stripe.id)
            logger.error("\(message); read around it")
        }
    }

    private func pieces(of range: Range<Int>, in stripe: StripeRecord) -> [Piece] {
        var pieces: [Piece] = []
        var position = range.lowerBound
        while position < range.upperBound {
            let shard = position / stripe.shardBytes
            let end = min(range.upperBound, (shard + 1) * stripe.shardBytes)
            pieces.append(
                Piece(
                    shard: shard,
                    offset: position - shard * stripe.shardBytes,
                    count: end - position
                )
            )
            position = end
        }
        return pieces
    }

    private func get(_ piece: Piece, of stripe: StripeRecord) -> Pending<[UInt8]>? {
        guard let record = stripe.shards.first(where: { $0.index == piece.shard }) else {
            return nil
        }
        return network.get(
            record.shard,
            from: record.provider,
            offset: piece.offset,
            count: piece.count
        )
    }

    /// The unmasked bytes, or `nil` if the provider does not give them.
    private func receive(
        _ request: Pending<[UInt8]>,
        _ piece: Piece,
        of stripe: StripeRecord,
        for time: Duration
    ) -> [UInt8]? {
        guard let record = stripe.shards.first(where: { $0.index == piece.shard }) else {
            return nil
        }
        do {
            var bytes = try request.wait(for: time)
            guard bytes.count == piece.count else { return nil }
            meters.downloadedBytes.add(UInt64(bytes.count), ordering: .relaxed)
            custody?.noteTransfer(with: record.provider, ok: true)
            try bytes.withUnsafeMutableBytes {
                try ShardMask.apply(
                    to: $0,
                    key: key.maskKey(for: record.shard),
                    offset: piece.offset
                )
            }
            return bytes
        } catch let error as NetworkError {
            logger.debug("shard \(record.shard.short) is not available: \(error.message)")
            note(error, record, of: stripe)
            return nil
        } catch {
            logger.error("shard \(record.shard.short) cannot be unmasked: \(error)")
            return nil
        }
    }

    /// A provider that is away or slow did not do its part; one that has lost a shard, or another
    /// than it had, says nothing of itself, but the shard is to be looked at.
    private func note(_ error: NetworkError, _ shard: ShardRecord, of stripe: StripeRecord) {
        guard error.code == .notFound || error.code == .corrupt else {
            custody?.noteTransfer(with: shard.provider, ok: !error.isTransient)
            return
        }
        meters.noteShardError(
            "shard \(shard.shard.short) at provider \(shard.provider.short): \(error.message)"
        )
        custody?.noteDoubt(shard.index, of: stripe.id)
    }

    /// The bytes of `piece` from the same range of `k` other shards.
    private func rebuild(
        _ piece: Piece,
        of stripe: StripeRecord,
        distrusting distrusted: Set<Int>
    ) throws(FileSystemError) -> [UInt8] {
        meters.degradedReads.add(1, ordering: .relaxed)
        let usable = (0..<stripe.code.n).filter { $0 != piece.shard && !distrusted.contains($0) }
        var present: [(index: Int, bytes: [UInt8])] = []
        var next = 0
        // As many at a time as are still needed: a healthy stripe moves no byte too many.
        while present.count < stripe.code.k, next < usable.count {
            let wave = usable[next..<min(usable.count, next + stripe.code.k - present.count)]
            next = wave.endIndex
            let asked = wave.map { index in
                let same = Piece(shard: index, offset: piece.offset, count: piece.count)
                return (same, get(same, of: stripe))
            }
            for (same, request) in asked {
                guard let request else { continue }
                if let bytes = receive(request, same, of: stripe, for: Self.rebuildPatience) {
                    present.append((same.shard, bytes))
                }
            }
        }
        guard present.count >= stripe.code.k else {
            throw FileSystemError(
                .unavailable,
                "stripe \(stripe.id.short): \(present.count) of \(stripe.code.n) shards can be"
                    + " read, \(stripe.code.k) are needed; start the providers that hold it"
            )
        }
        return try decode(piece, of: stripe, from: present)
    }

    private func decode(
        _ piece: Piece,
        of stripe: StripeRecord,
        from present: [(index: Int, bytes: [UInt8])]
    ) throws(FileSystemError) -> [UInt8] {
        let count = piece.count
        let source = UnsafeMutableRawBufferPointer.allocate(
            byteCount: count * present.count,
            alignment: 64
        )
        defer { source.deallocate() }
        var views: [(index: Int, bytes: UnsafeRawBufferPointer)] = []
        for (position, shard) in present.enumerated() {
            let view = UnsafeMutableRawBufferPointer(
                rebasing: source[position * count..<(position + 1) * count]
            )
            view.copyBytes(from: shard.bytes)
            views.append((shard.index, UnsafeRawBufferPointer(view)))
        }
        var result = [UInt8](repeating: 0, count: count)
        do {
            try result.withUnsafeMutableBytes {
                try ErasureCoder(stripe.code).reconstruct([piece.shard], from: views, into: [$0])
            }
        } catch {
            throw FileSystemError(.corrupt, "stripe \(stripe.id.short) cannot be decoded: \(error)")
        }
        return result
    }
}
