import CFuse
import Glibc
import Primitives

/// How long the kernel may trust what it was told.
package enum CacheTime {
    /// Seconds for entries, missing entries and attributes: a day.
    ///
    /// The mount is the only writer, so that the kernel sees every change; the bound only lets
    /// idle entries go stale one day.
    package static let seconds: Double = 86_400
    /// The same of a mount whose tree another machine changes: what the kernel is not told of, it
    /// sees so late.
    package static let followingSeconds: Double = 1
}

extension stat {
    /// The preferred size of input and output that `stat(2)` reports: the page size.
    ///
    /// The kernel takes it for the granularity of its page cache, and merges by itself.
    private static let blockBytes = 4096

    init(_ attributes: Attributes) {
        self.init()
        st_ino = UInt(attributes.ino.rawValue)
        st_mode = attributes.kind.modeBits | UInt32(attributes.mode & 0o7777)
        st_nlink = UInt(attributes.linkCount)
        st_uid = attributes.uid
        st_gid = attributes.gid
        st_rdev = UInt(attributes.rdev)
        st_size = Int(clamping: attributes.size)
        st_blksize = Self.blockBytes
        // The kernel keeps this while a file is open for writing, however much is written; and
        // tar(1) takes a file of no blocks for one of no bytes.
        let blocksMin: UInt64 = attributes.kind == .regular ? 1 : 0
        st_blocks = Int(clamping: max(attributes.blocks512, blocksMin))
        st_atim = timespec(attributes.accessed)
        st_mtim = timespec(attributes.modified)
        st_ctim = timespec(attributes.changed)
    }
}

extension timespec {
    init(_ time: Timestamp) {
        self.init(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
    }
}

extension Timestamp {
    /// The time as the kernel gives it; nanoseconds out of range count as 0.
    init(_ time: timespec) {
        let nanoseconds = (0..<1_000_000_000).contains(time.tv_nsec) ? time.tv_nsec : 0
        self.init(seconds: Int64(time.tv_sec), nanoseconds: UInt32(nanoseconds))
    }
}

extension FileKind {
    /// The file type part of `st_mode` (`man 7 inode`).
    var modeBits: UInt32 {
        switch self {
        case .regular: S_IFREG
        case .directory: S_IFDIR
        case .symbolicLink: S_IFLNK
        case .fifo: S_IFIFO
        case .socket: S_IFSOCK
        case .characterDevice: S_IFCHR
        case .blockDevice: S_IFBLK
        }
    }

    /// The kind that `st_mode` tells; a mode without a type is a regular file (`man 2 mknod`).
    init?(modeBits: UInt32) {
        switch modeBits & S_IFMT {
        case 0, S_IFREG: self = .regular
        case S_IFDIR: self = .directory
        case S_IFLNK: self = .symbolicLink
        case S_IFIFO: self = .fifo
        case S_IFSOCK: self = .socket
        case S_IFCHR: self = .characterDevice
        case S_IFBLK: self = .blockDevice
        default: return nil
        }
    }
}

/// How long the kernel may trust an entry, and which of several inodes of one number it means.
package struct EntryTrust: Hashable, Sendable {
    /// Seconds that the name leads there.
    package let nameSeconds: Double
    /// Seconds that the attributes are those.
    package let attributeSeconds: Double
    /// Handles that were given for a number of another generation are stale.
    package let generation: UInt32

    package init(
        nameSeconds: Double = CacheTime.seconds,
        attributeSeconds: Double = CacheTime.seconds,
        generation: UInt32 = 0
    ) {
        self.nameSeconds = nameSeconds
        self.attributeSeconds = attributeSeconds
        self.generation = generation
    }

    /// All the trust the kernel may have in the only writer of a tree.
    ///
    /// Its inode numbers are never reused, so that a generation says nothing.
    package static let full = EntryTrust()

    /// The same for at most `secondsMax`.
    func limited(to secondsMax: Double) -> EntryTrust {
        EntryTrust(
            nameSeconds: min(nameSeconds, secondsMax),
            attributeSeconds: min(attributeSeconds, secondsMax),
            generation: generation
        )
    }
}

extension fuse_entry_param {
    init(_ attributes: Attributes, _ trust: EntryTrust = .full) {
        self.init()
        ino = attributes.ino.rawValue
        generation = UInt64(trust.generation)
        attr = stat(attributes)
        attr_timeout = trust.attributeSeconds
        entry_timeout = trust.nameSeconds
    }
}

extension fuse_file_info {
    /// An open file, whose cached pages stay valid if `keepsPages`: nobody changes it behind the
    /// kernel's back.
    init(openedForWriting isForWriting: Bool, keepsPages: Bool = true) {
        self.init()
        fh = OpenHandle(isForWriting: isForWriting, passesThrough: false).number
        keep_cache = keepsPages ? 1 : 0
    }
}

extension statvfs {
    private static let blockBytes: UInt = 4096

    init(_ space: FileSystemSpace) {
        self.init()
        f_bsize = Self.blockBytes
        f_frsize = Self.blockBytes
        f_blocks = UInt(space.totalBytes) / Self.blockBytes
        f_bfree = UInt(space.freeBytes) / Self.blockBytes
        f_bavail = f_bfree
        f_files = UInt(space.filesMax)
        f_ffree = UInt(space.filesMax - min(space.fileCount, space.filesMax))
        f_favail = f_ffree
        f_namemax = UInt(Geometry.nameBytesMax)
    }
}
