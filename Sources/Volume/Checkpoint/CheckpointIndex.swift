import Metadata
import Network
import Primitives
import Wire

/// A stripe that holds a part of a checkpoint: all that is needed to read it.
struct CheckpointStripe: Hashable, Message {
    let payloadBytes: UInt32
    let manifest: StripeManifest

    init(_ record: StripeRecord) {
        payloadBytes = UInt32(clamping: record.payloadBytes)
        manifest = StripeManifest(record)
    }

    var record: StripeRecord {
        StripeRecord(
            id: manifest.id,
            code: manifest.code,
            payloadBytes: Int(payloadBytes),
            shardBytes: Int(manifest.shardBytes),
            shards: manifest.shards.map { shard in
                ShardRecord(
                    index: Int(shard.index),
                    shard: shard.shard,
                    provider: shard.provider,
                    root: shard.root
                )
            }
        )
    }

    func write(to writer: inout ByteWriter) {
        writer.integer(payloadBytes)
        manifest.write(to: &writer)
    }

    init(from reader: inout ByteReader) throws(DecodeError) {
        payloadBytes = try reader.integer()
        manifest = try StripeManifest(from: &reader)
        let room = UInt64(manifest.shardBytes) * UInt64(manifest.code.k)
        guard payloadBytes <= room else {
            throw .tooLong(field: "payload", value: UInt64(payloadBytes), limit: room)
        }
    }
}

extension BlockLocation {
    /// As checkpoints write it: stripe (16) | offset (u32) | plain (u32) | lengths of the sealed
    /// segments (u32 each, as many as `plain` has segments).
    fileprivate func write(to writer: inout ByteWriter) {
        writer.id(stripe)
        writer.integer(offset)
        writer.integer(plainBytes)
        for length in segmentBytes { writer.integer(length) }
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodeError) {
        let stripe: StripeID = try reader.id()
        let offset = try reader.integer(UInt32.self)
        let plain = try reader.integer(UInt32.self)
        guard plain >= 1, plain <= Geometry.blockBytes else {
            throw .invalid(field: "plain bytes", reason: "\(plain)")
        }
        var lengths: [UInt32] = []
        let count = (Int(plain) + Geometry.segmentBytes - 1) / Geometry.segmentBytes
        for _ in 0..<count {
            let length = try reader.integer(UInt32.self)
            guard length <= 2 * Geometry.segmentBytes else {
                throw .tooLong(
                    field: "segment",
                    value: UInt64(length),
                    limit: UInt64(2 * Geometry.segmentBytes)
                )
            }
            lengths.append(length)
        }
        self.init(
            stripe: stripe,
            offset: offset,
            plainBytes: plain,
            validBytes: plain,
            segmentBytes: lengths
        )
    }
}

/// A piece of a checkpoint: where the parts of its records are.
struct CheckpointPiece: Hashable, Message {
    /// Parts of 1 MiB: a base of 16 GiB.
    private static let partsMax = 16_384

    /// The first row of the journal in it; `CheckpointPart.base` of the base.
    let first: Int64
    /// The last.
    let last: Int64
    let parts: [BlockLocation]

    init(first: Int64, last: Int64, parts: [BlockLocation]) {
        self.first = first
        self.last = last
        self.parts = parts
    }

    func write(to writer: inout ByteWriter) {
        writer.integer(first)
        writer.integer(last)
        writer.integer(UInt32(parts.count))
        for part in parts { part.write(to: &writer) }
    }

    init(from reader: inout ByteReader) throws(DecodeError) {
        first = try reader.integer()
        last = try reader.integer()
        guard first >= 0, last >= first else {
            throw .invalid(field: "piece", reason: "rows \(first) to \(last)")
        }
        let count = try reader.count("parts of a piece", limit: Self.partsMax)
        var parts: [BlockLocation] = []
        for _ in 0..<count { parts.append(try BlockLocation(from: &reader)) }
        self.parts = parts
    }
}

/// What a head consists of.
struct CheckpointIndex: Hashable, Message {
    private static let format: UInt8 = 1
    /// Pieces of one head: they double in length.
    private static let piecesMax = 128
    private static let stripesMax = 4096
    private static let nameBytesMax = 255
    /// Blocks named that were not placed; a head does not tell of more.
    static let behindMax = 65_536

    let version: UInt64
    let time: Timestamp
    /// What the volume is called where it is written.
    let name: String
    /// In the order in which they are applied, the base first.
    let pieces: [CheckpointPiece]
    /// Every stripe of theirs, but those that the head itself names.
    let stripes: [CheckpointStripe]
    /// Blocks whose newest bytes were not placed when the head was made.
    let behind: [BlockKey]
    /// What the head is kept as, if it was made to be kept: its own rows do not know yet.
    let kept: SnapshotWish?

    init(
        version: UInt64,
        time: Timestamp,
        name: String,
        pieces: [CheckpointPiece],
        stripes: [CheckpointStripe],
        behind: [BlockKey],
        kept: SnapshotWish?
    ) {
        self.version = version
        self.time = time
        self.name = name
        self.pieces = pieces
        self.stripes = stripes
        self.behind = behind
        self.kept = kept
    }

    func write(to writer: inout ByteWriter) {
        writer.integer(Self.format)
        writer.varint(version)
        writer.timestamp(time)
        writer.string(name)
        writer.integer(UInt32(pieces.count))
        for piece in pieces { piece.write(to: &writer) }
        writer.integer(UInt32(stripes.count))
        for stripe in stripes { stripe.write(to: &writer) }
        writer.integer(UInt32(behind.count))
        for key in behind {
            writer.varint(key.ino.rawValue)
            writer.varint(key.index.rawValue)
        }
        writer.boolean(kept != nil)
        guard let kept else { return }
        writer.string(kept.name)
        writer.boolean(kept.lockedUntil != nil)
        if let time = kept.lockedUntil { writer.timestamp(time) }
    }

    init(from reader: inout ByteReader) throws(DecodeError) {
        let format = try reader.integer(UInt8.self)
        guard format == Self.format else { throw .unsupportedVersion(UInt64(format)) }
        version = try reader.varint()
        time = try reader.timestamp()
        name = try reader.label("name", limit: Self.nameBytesMax)
        var pieces: [CheckpointPiece] = []
        for _ in 0..<(try reader.count("pieces", limit: Self.piecesMax)) {
            let piece = try CheckpointPiece(from: &reader)
            // Each begins where the one before ends.
            guard pieces.last.map({ piece.first == $0.last + 1 }) ?? (piece.first == 0) else {
                throw .invalid(field: "pieces", reason: "row \(piece.first) follows no other")
            }
            pieces.append(piece)
        }
        self.pieces = pieces
        var stripes: [CheckpointStripe] = []
        for _ in 0..<(try reader.count("stripes", limit: Self.stripesMax)) {
            stripes.append(try CheckpointStripe(from: &reader))
        }
        self.stripes = stripes
        var behind: [BlockKey] = []
        for _ in 0..<(try reader.count("blocks behind", limit: Self.behindMax)) {
            let ino = InodeNumber(try reader.varint())
            behind.append(BlockKey(ino, BlockIndex(try reader.varint())))
        }
        self.behind = behind
        guard try reader.boolean("kept") else {
            kept = nil
            return
        }
        let name = try reader.label("name of a snapshot", limit: SnapshotRow.nameBytesMax)
        let isLocked = try reader.boolean("lock")
        kept = SnapshotWish(
            name: name,
            lockedUntil: isLocked ? try reader.timestamp() : nil
        )
    }
}

/// Where an index is: what a head's body holds sealed, and a kept head's row in clear.
struct CheckpointPlace: Hashable, Message {
    private static let format: UInt8 = 1
    private static let partsMax = 64
    private static let stripesMax = 64

    let index: [BlockLocation]
    /// The stripes that hold the index and are named nowhere else; of a kept head none, since the
    /// volume itself knows where they are by now.
    let stripes: [CheckpointStripe]

    init(index: [BlockLocation], stripes: [CheckpointStripe]) {
        self.index = index
        self.stripes = stripes
    }

    func write(to writer: inout ByteWriter) {
        writer.integer(Self.format)
        writer.integer(UInt32(index.count))
        for part in index { part.write(to: &writer) }
        writer.integer(UInt32(stripes.count))
        for stripe in stripes { stripe.write(to: &writer) }
    }

    init(from reader: inout ByteReader) throws(DecodeError) {
        let format = try reader.integer(UInt8.self)
        guard format == Self.format else { throw .unsupportedVersion(UInt64(format)) }
        var index: [BlockLocation] = []
        for _ in 0..<(try reader.count("parts of an index", limit: Self.partsMax)) {
            index.append(try BlockLocation(from: &reader))
        }
        self.index = index
        var stripes: [CheckpointStripe] = []
        for _ in 0..<(try reader.count("stripes of an index", limit: Self.stripesMax)) {
            stripes.append(try CheckpointStripe(from: &reader))
        }
        self.stripes = stripes
    }
}
