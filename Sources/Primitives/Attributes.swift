/// What an inode is.
package enum FileKind: UInt8, Sendable, CaseIterable {
    case regular = 1
    case directory = 2
    case symbolicLink = 3
    case fifo = 4
    case socket = 5
    case characterDevice = 6
    case blockDevice = 7
}

/// What `stat(2)` tells of an inode.
package struct Attributes: Hashable, Sendable {
    package let ino: InodeNumber
    package let kind: FileKind
    /// Permission bits with set-user-id, set-group-id and sticky: 0...0o7777.
    package var mode: UInt16
    package var uid: UInt32
    package var gid: UInt32
    /// Names that lead here; of a directory 2 and one per subdirectory.
    package var linkCount: UInt32
    /// Bytes; of a symbolic link the length of its target.
    package var size: UInt64
    /// 512-byte units in use, as `st_blocks`.
    package var blocks512: UInt64
    /// Device number of a device file, else 0.
    package let rdev: UInt64
    package var accessed: Timestamp
    package var modified: Timestamp
    package var changed: Timestamp

    package init(
        ino: InodeNumber,
        kind: FileKind,
        mode: UInt16,
        uid: UInt32,
        gid: UInt32,
        linkCount: UInt32,
        size: UInt64,
        blocks512: UInt64,
        rdev: UInt64,
        accessed: Timestamp,
        modified: Timestamp,
        changed: Timestamp
    ) {
        self.ino = ino
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.linkCount = linkCount
        self.size = size
        self.blocks512 = blocks512
        self.rdev = rdev
        self.accessed = accessed
        self.modified = modified
        self.changed = changed
    }
}

/// What `setattr` changes; `nil` leaves a field as it is.
package struct AttributeChange: Hashable, Sendable {
    package var mode: UInt16?
    package var uid: UInt32?
    package var gid: UInt32?
    package var size: UInt64?
    package var accessed: Timestamp?
    package var modified: Timestamp?
    /// Set only by a kernel that keeps times itself (write-back cache); else the time of the call.
    package var changed: Timestamp?

    package init() {}
}

/// An inode to be made.
package struct NewInode: Hashable, Sendable {
    package var kind: FileKind
    package var mode: UInt16
    package var uid: UInt32
    package var gid: UInt32
    package var rdev: UInt64
    /// Permission bits that `mode` loses, unless the directory has a default access list.
    package var umask: UInt16 = 0
    /// Target of a symbolic link, else empty.
    ///
    /// 1...4095 bytes.
    package var target: [UInt8]

    package init(
        kind: FileKind,
        mode: UInt16,
        uid: UInt32,
        gid: UInt32,
        rdev: UInt64 = 0,
        target: [UInt8] = []
    ) {
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.rdev = rdev
        self.target = target
    }
}

/// One entry of a directory listing.
package struct DirectoryEntry: Hashable, Sendable {
    package let name: EntryName
    /// Where a listing goes on after this entry; grows along a listing, stays while the entry
    /// lives, and fits 31 bits for 2^31 creations in one directory.
    package let cookie: UInt64
    package let attributes: Attributes

    package init(name: EntryName, cookie: UInt64, attributes: Attributes) {
        self.name = name
        self.cookie = cookie
        self.attributes = attributes
    }
}

/// How `renameat2(2)` treats an existing target.
package enum RenameMode: Sendable {
    case replace
    case noReplace
    case exchange
}

/// How `setxattr(2)` treats an existing attribute.
package enum XattrMode: Sendable {
    case set
    case create
    case replace
}
