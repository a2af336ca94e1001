import Logging
import Metadata
import Network
import Primitives
import Sealing
import Wire

/// Reads a checkpoint from the network and makes the metadata database of it again.
struct CheckpointReader: Sendable {
    private let blocks: BlockReader
    private let key: FileKey

    init(_ reader: StripeReader) {
        blocks = BlockReader(reader)
        key = reader.key.checkpointKey
    }

    /// Where a stripe is by now, if the one who asks knows better than the checkpoint.
    typealias Whereabouts = (StripeID) throws(FileSystemError) -> StripeRecord?

    func index(
        at place: CheckpointPlace,
        where whereabouts: Whereabouts
    ) throws(FileSystemError) -> CheckpointIndex {
        let known = Dictionary(
            place.stripes.map { ($0.manifest.id, $0.record) },
            uniquingKeysWith: { first, _ in first }
        )
        var bytes: [UInt8] = []
        for location in place.index { bytes += try read(location, known, whereabouts) }
        do throws(DecodeError) {
            return try CheckpointIndex(decoding: bytes)
        } catch {
            throw FileSystemError(.corrupt, "the index of a checkpoint is damaged: \(error)")
        }
    }

    /// Makes the database at `path`.
    ///
    /// `head`: as keepers have it; empty of a kept head.
    /// `holders`: who finds shards that may be elsewhere than the checkpoint says.
    /// `report` is called with the bytes read so far and in all.
    ///
    /// - Returns: Paths of files whose newest bytes were not placed when the head was made.
    func restore(
        _ index: CheckpointIndex,
        at place: CheckpointPlace,
        head: [UInt8],
        to path: String,
        where whereabouts: Whereabouts,
        holders: RetainedHolders? = nil,
        report: (_ done: UInt64, _ total: UInt64) -> Void
    ) throws(FileSystemError) -> [String] {
        var known = Dictionary(
            place.stripes.map { ($0.manifest.id, $0.record) },
            uniquingKeysWith: { first, _ in first }
        )
        for stripe in index.stripes { known[stripe.manifest.id] = stripe.record }
        if let holders {
            for stripe in try holders.settled(Array(known.values)) { known[stripe.id] = stripe }
        }
        let total = index.pieces.reduce(UInt64(0)) { sum, piece in
            piece.parts.reduce(sum) { $0 + UInt64($1.plainBytes) }
        }
        let database = try RestoredDatabase(at: path)
        var done: UInt64 = 0
        var parts: [CheckpointPart] = []
        for piece in index.pieces {
            for (number, location) in piece.parts.enumerated() {
                try database.apply(
                    try read(location, known, whereabouts),
                    ofBase: piece.first == CheckpointPart.base
                )
                done += UInt64(location.plainBytes)
                report(done, total)
                parts.append(
                    CheckpointPart(
                        piece: piece.first,
                        part: number,
                        last: piece.last,
                        location: location
                    )
                )
            }
            try database.endPiece(first: piece.first, last: piece.last)
        }
        if let holders {
            try database.moveShards { shards throws(FileSystemError) in try holders.moved(shards) }
        }
        let last = index.pieces.last?.last ?? 0
        for (number, location) in place.index.enumerated() {
            parts.append(
                CheckpointPart(
                    piece: CheckpointPart.index,
                    part: number,
                    last: last,
                    location: location
                )
            )
        }
        return try database.finish(
            RestoredHead(version: index.version, encoded: head),
            stripes: known.values.sorted { $0.id.hex < $1.id.hex },
            parts: parts,
            behind: index.behind,
            snapshot: index.kept?.row(index.version, index.time, place.index)
        )
    }

    func read(
        _ location: BlockLocation,
        _ known: [StripeID: StripeRecord],
        _ whereabouts: Whereabouts
    ) throws(FileSystemError) -> [UInt8] {
        guard let stripe = try whereabouts(location.stripe) ?? known[location.stripe] else {
            throw FileSystemError(
                .corrupt,
                "a checkpoint names stripe \(location.stripe.short), of which nobody knows"
            )
        }
        return try blocks.read(location, of: stripe, key: key)
    }
}
