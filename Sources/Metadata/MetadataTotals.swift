package import Primitives

/// Sums over a whole volume, kept up to date by every change.
package struct MetadataTotals: Hashable, Sendable {
    /// Inodes of all kinds, removed ones that are still open too.
    package var inodes: UInt64 = 0
    /// Regular files among them.
    package var files: UInt64 = 0
    /// Sum of the regular files' sizes.
    package var fileBytes: UInt64 = 0
    /// Bytes the cache holds.
    package var residentBytes: UInt64 = 0
    /// Bytes of blocks that the network holds the newest version of.
    package var placedBytes: UInt64 = 0
    /// Placed stripes of which some block is needed.
    package var stripes: UInt64 = 0
    /// Their shards.
    package var shards: UInt64 = 0
    /// Bytes of blocks that only the cache holds the newest version of.
    package var dirtyBytes: UInt64 = 0
    package var dirtyBlocks = 0
    package var dirtyFiles = 0
    /// Since when the oldest of them is dirty.
    package var oldestDirty: Timestamp?
    /// The latest token given to a dirty block so far, whether it is still dirty or not.
    package var newestToken = Timestamp.epoch

    /// Regular files without a dirty block, empty ones too.
    package var placedFiles: UInt64 { files - min(files, UInt64(dirtyFiles)) }

    /// Adds all rows up; O(rows), for the opening.
    init(reading reader: MetadataReader) throws(FileSystemError) {
        inodes = try reader.number("SELECT COUNT(*) FROM inode")
        files = try reader.number("SELECT COUNT(*) FROM inode WHERE kind = 1")
        fileBytes = try reader.number("SELECT TOTAL(size) FROM inode WHERE kind = 1")
        stripes = try reader.number("SELECT COUNT(*) FROM stripe WHERE state = 2")
        shards = try reader.number("SELECT TOTAL(k + m) FROM stripe WHERE state = 2")
        residentBytes = try reader.number("SELECT TOTAL(held) FROM residency")
        let located = try reader.number("SELECT TOTAL(valid) FROM block")
        let stale = try reader.number(
            """
            SELECT TOTAL(valid) FROM residency JOIN block USING(ino, idx) \
            WHERE dirty_since IS NOT NULL
            """
        )
        placedBytes = located - min(located, stale)
    }

    /// Puts `new` in the place of `old` in a sum.
    ///
    /// Clamped: rows that were damaged on disk must not stop the program over a figure for display.
    static func adjust(_ sum: inout UInt64, from old: UInt64, to new: UInt64) {
        sum = sum &+ new &- min(old, sum &+ new)
    }
}
