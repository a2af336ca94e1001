package import Primitives

/// What the inode of a clone is to be, but for its number and its names.
package struct ClonedInode: Sendable {
    /// All but `ino`, `linkCount`, `blocks512` and `changed` is taken over as it stands: nothing is
    /// inherited from the directory it is made in.
    package var attributes: Attributes
    /// Of a symbolic link.
    package var target: [UInt8]
    /// Extended attributes by name, access lists among them.
    package var xattrs: [[UInt8]: [UInt8]]
    /// The source's file key, wrapped for the clone's own number; `nil` without blocks.
    package var wrappedKey: [UInt8]?

    package init(
        _ attributes: Attributes,
        target: [UInt8] = [],
        xattrs: [[UInt8]: [UInt8]] = [:],
        wrappedKey: [UInt8]? = nil
    ) {
        self.attributes = attributes
        self.target = target
        self.xattrs = xattrs
        self.wrappedKey = wrappedKey
    }
}

/// A block of a clone, and where the network holds it for the source too.
package struct ClonedBlock: Hashable, Sendable {
    package let index: BlockIndex
    package let location: BlockLocation

    package init(_ index: BlockIndex, _ location: BlockLocation) {
        self.index = index
        self.location = location
    }
}
