package import Primitives
import SQLite

/// A head that is kept: the volume as it was when that head was made.
package struct SnapshotRow: Hashable, Sendable {
    /// The longest name, in bytes of UTF-8.
    package static let nameBytesMax = 128

    /// The head's number.
    package let version: UInt64
    /// When its contents were as it says.
    package let time: Timestamp
    /// What somebody called it; may be empty.
    package let name: String
    /// Until when nobody may delete it; `nil` for no such time.
    package var lockedUntil: Timestamp?
    /// Where its index is, as the maker of checkpoints writes it.
    package let contents: [UInt8]

    package init(
        version: UInt64,
        time: Timestamp,
        name: String,
        lockedUntil: Timestamp?,
        contents: [UInt8]
    ) {
        self.version = version
        self.time = time
        self.name = name
        self.lockedUntil = lockedUntil
        self.contents = contents
    }

    /// As the columns hold it; times are whole seconds.
    var values: [Value] {
        [
            .integer(Int64(clamping: version)), .integer(time.seconds), .text(name),
            lockedUntil.map { .integer($0.seconds) } ?? .null, .blob(contents),
        ]
    }

    /// Reads the columns in their order; `nil` if no program of ours wrote them.
    init?(_ row: Statement) {
        guard let version = UInt64(exactly: row.integer(0)), version >= 1,
            row.integer(1).magnitude < 1 << 43, row.integer(3).magnitude < 1 << 43,
            row.text(2).utf8.count <= Self.nameBytesMax
        else { return nil }
        self.init(
            version: version,
            time: Timestamp(seconds: row.integer(1), nanoseconds: 0),
            name: row.text(2),
            lockedUntil: row.isNull(3)
                ? nil : Timestamp(seconds: row.integer(3), nanoseconds: 0),
            contents: row.blob(4)
        )
    }
}
