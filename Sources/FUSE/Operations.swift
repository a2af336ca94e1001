package import Primitives

/// What the kernel asks of a filesystem: one method per request.
///
/// Called on the session's own threads, several at once; a method that must wait for something
/// slow hands its request over (`Request.handOver`) and returns. Who may do what has been decided
/// by the kernel already (`default_permissions`). Names are as the kernel sends them: "." and ".."
/// occur in `lookup` only, for file handles.
package protocol Operations: Sendable {
    /// The kernel and the session agreed on a protocol; requests follow.
    func started()

    func lookup(_ request: consuming Request, name: [UInt8], in parent: InodeNumber)
    /// The kernel drops `count` of the references that entry replies gave it.
    func forget(_ ino: InodeNumber, count: UInt64)
    func getAttributes(_ request: consuming Request, of ino: InodeNumber)
    /// Changes attributes; with `killsPrivileges` set-id bits and file capabilities go as well.
    func setAttributes(
        _ request: consuming Request,
        _ change: AttributeChange,
        of ino: InodeNumber,
        killsPrivileges: Bool
    )

    func readLink(_ request: consuming Request, _ ino: InodeNumber)
    /// Makes an inode of any kind, for mknod, mkdir and symlink; it belongs to the caller.
    func make(
        _ request: consuming Request,
        _ new: NewInode,
        name: [UInt8],
        in parent: InodeNumber
    )
    func link(
        _ request: consuming Request,
        _ ino: InodeNumber,
        name: [UInt8],
        in parent: InodeNumber
    )
    func unlink(_ request: consuming Request, name: [UInt8], in parent: InodeNumber)
    func removeDirectory(_ request: consuming Request, name: [UInt8], in parent: InodeNumber)
    /// Renames; `mode` is `nil` if the kernel asks for one that this library does not know, and
    /// `whiteout` what is to be made at the old name.
    func rename(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber,
        to newName: [UInt8],
        in newParent: InodeNumber,
        mode: RenameMode?,
        whiteout: NewInode?
    )

    func create(
        _ request: consuming Request,
        _ new: NewInode,
        name: [UInt8],
        in parent: InodeNumber,
        how: OpenRequest
    )
    /// As `create`, but the file has no name until `link` gives it one (O_TMPFILE).
    func createUnnamed(
        _ request: consuming Request,
        _ new: NewInode,
        in parent: InodeNumber,
        how: OpenRequest
    )
    func open(_ request: consuming Request, _ ino: InodeNumber, how: OpenRequest)
    /// Nobody has this opening of the file any more; there is no reply to wait for.
    func release(_ request: consuming Request, _ ino: InodeNumber, _ handle: OpenHandle)
    func sync(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool)

    func read(_ request: consuming Request, _ ino: InodeNumber, offset: UInt64, count: Int)
    /// Writes `bytes`, which are valid until the method returns: copy them to hand over.
    ///
    /// `isFromCache`: the kernel writes its pages back, some time after programs wrote them. It
    /// keeps the times of that, and sends them by itself, perhaps before the bytes.
    func write(
        _ request: consuming Request,
        _ ino: InodeNumber,
        offset: UInt64,
        bytes: UnsafeRawBufferPointer,
        killsPrivileges: Bool,
        isFromCache: Bool
    )
    /// As `fallocate(2)`; `mode` is `nil` if this library does not know it.
    func allocate(
        _ request: consuming Request,
        _ ino: InodeNumber,
        range: Range<UInt64>,
        mode: AllocationMode?
    )
    func seek(
        _ request: consuming Request,
        _ ino: InodeNumber,
        from offset: UInt64,
        to target: SeekKind
    )
    func copyRange(
        _ request: consuming Request,
        from source: InodeNumber,
        at sourceOffset: UInt64,
        to target: InodeNumber,
        at targetOffset: UInt64,
        count: UInt64
    )

    /// Fills `listing`; the next request goes on after the last cookie it took.
    func readDirectory(
        _ request: consuming Request,
        _ ino: InodeNumber,
        after cookie: UInt64,
        listing: consuming DirectoryListing
    )
    func syncDirectory(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool)
    func statistics(_ request: consuming Request)

    /// Answers with a value of up to `bytesMax` bytes, or with its size if that is 0.
    func getExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber,
        bytesMax: Int
    )
    /// As `setxattr(2)`; `mode` is `nil` if this library does not know it.
    ///
    /// With `clearsSetGroup` an access list that is set takes the set-group-id bit away.
    func setExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        to value: [UInt8],
        mode: XattrMode?,
        clearsSetGroup: Bool,
        of ino: InodeNumber
    )
    func listExtendedAttributes(_ request: consuming Request, of ino: InodeNumber, bytesMax: Int)
    func removeExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber
    )
}

/// How a file is to be opened.
package struct OpenRequest: Hashable, Sendable {
    /// The opening may write (O_WRONLY or O_RDWR).
    package let isForWriting: Bool
    /// It may read, and so map (O_RDONLY or O_RDWR).
    package let isForReading: Bool
    /// Cut the file to nothing (O_TRUNC).
    package let truncates: Bool
    /// Creation must fail if the name is taken (O_EXCL).
    package let isExclusive: Bool
    /// Set-id bits and file capabilities must go as the file is cut.
    package let killsPrivileges: Bool
    /// Around the kernel's pages, at any offset and length (O_DIRECT).
    package let isDirect: Bool
    /// Every write is to last when it returns (O_SYNC or O_DSYNC).
    package let isSynchronous: Bool

    package init(
        isForWriting: Bool,
        isForReading: Bool = true,
        truncates: Bool = false,
        isExclusive: Bool = false,
        killsPrivileges: Bool = false,
        isDirect: Bool = false,
        isSynchronous: Bool = false
    ) {
        self.isForWriting = isForWriting
        self.isForReading = isForReading
        self.isDirect = isDirect
        self.isSynchronous = isSynchronous
        self.truncates = truncates
        self.isExclusive = isExclusive
        self.killsPrivileges = killsPrivileges
    }
}

/// What `fallocate(2)` is to do.
package enum AllocationMode: Sendable {
    case reserve
    case reserveKeepingSize
    case punchHole
    case zero
    case zeroKeepingSize
}

/// What `lseek(2)` looks for.
package enum SeekKind: Sendable {
    case data
    case hole
}
