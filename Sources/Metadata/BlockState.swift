package import Primitives

/// One block of one file.
package struct BlockKey: Hashable, Comparable, Sendable {
    package let ino: InodeNumber
    package let index: BlockIndex

    package init(_ ino: InodeNumber, _ index: BlockIndex) {
        self.ino = ino
        self.index = index
    }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.ino, lhs.index) < (rhs.ino, rhs.index)
    }
}

/// What is known of a block; a block that nothing is known of is a hole and reads as zero.
package struct BlockState: Hashable, Sendable {
    package let index: BlockIndex
    /// Where the network holds it; `nil` before its first placing.
    ///
    /// Of a dirty block it is the version before.
    package var location: BlockLocation?
    /// Bit `i` is set if segment `i` is in the cache.
    package var resident: UInt16
    /// Since when the cache holds what the network does not; `nil` if it holds nothing newer.
    package var dirtySince: Timestamp?

    package init(
        index: BlockIndex,
        location: BlockLocation? = nil,
        resident: UInt16 = 0,
        dirtySince: Timestamp? = nil
    ) {
        self.index = index
        self.location = location
        self.resident = resident
        self.dirtySince = dirtySince
    }
}

/// A block whose newest bytes are in the cache only.
package struct DirtyBlock: Hashable, Sendable {
    package let key: BlockKey
    package let since: Timestamp
    /// Bytes of the file in the block.
    package let bytes: UInt32
}

/// A block of a file as a stripe that is now placed holds it.
package struct PlacedBlock: Hashable, Sendable {
    package let key: BlockKey
    package let location: BlockLocation
    /// The block's `dirtySince` when its bytes were taken: if it has another by now, the file
    /// holds something newer, and the copy is garbage from the start.
    package let token: Timestamp

    package init(key: BlockKey, location: BlockLocation, token: Timestamp) {
        self.key = key
        self.location = location
        self.token = token
    }
}
