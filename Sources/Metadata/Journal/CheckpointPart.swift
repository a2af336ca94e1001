import Primitives
import SQLite

/// At most 1 MiB of a piece of the checkpoint: where the network holds it.
///
/// A checkpoint is a base, which is every row of the volume at one time, and pieces, each of which
/// is what became of rows in a span of the journal; and an index of all of them.
package struct CheckpointPart: Hashable, Sendable {
    /// The piece that is the base.
    package static let base: Int64 = 0
    /// The piece that is the index.
    package static let index: Int64 = -1

    /// The first row of the journal in its piece, or `base` or `index`.
    package let piece: Int64
    /// Its number in its piece, from 0.
    package let part: Int
    /// The last row of the journal in its piece; of the index the last that the head contains.
    package let last: Int64
    package let location: BlockLocation

    package init(piece: Int64, part: Int, last: Int64, location: BlockLocation) {
        self.piece = piece
        self.part = part
        self.last = last
        self.location = location
    }

    static let insertion = """
        REPLACE INTO checkpoint(\
        piece, part, last, stripe, offset, plain, valid, segments, checksum) \
        VALUES(?,?,?,?,?,?,?,?,?)
        """

    /// As the columns hold it.
    var values: [Value] {
        [.integer(piece), .integer(Int64(part)), .integer(last)] + location.values
    }
}
