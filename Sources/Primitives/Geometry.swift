/// The fixed sizes of the format.
///
/// They are part of format version 1 and never change within it.
package enum Geometry {
    /// A block: the aligned slice of a file that is dirtied, uploaded and placed as one; 1 MiB.
    package static let blockBytes = 1 << 20
    /// A segment: the slice of a block that is compressed and sealed by itself; 64 KiB, so that a
    /// cold read of a few bytes moves one segment and not a megabyte.
    package static let segmentBytes = 64 << 10
    /// Segments in a whole block; 16, so that residency fits a 16-bit mask.
    package static let segmentsPerBlock = blockBytes / segmentBytes
    /// The largest shard; 4 MiB.
    ///
    /// A stripe of code k+m holds at most `k` times this.
    package static let shardBytesMax = 4 << 20
    /// A leaf of a shard's Merkle tree; 1 KiB.
    ///
    /// Every shard is a whole number of leaves.
    package static let leafBytes = 1 << 10
    /// The longest name of a directory entry, in bytes (`NAME_MAX`).
    package static let nameBytesMax = 255
    /// The largest file, in bytes: 2^53 keeps every block index and offset far from overflow.
    package static let fileBytesMax: UInt64 = 1 << 53
}
