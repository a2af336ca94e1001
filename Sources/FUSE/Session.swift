import CFuse
import CFuseShim
import Glibc
package import Primitives
import Synchronization

/// A mount and its connection to the kernel: mounted by `mount`, served by the threads that call
/// `serve`, ended by an unmount.
package final class Session: Sendable {
    /// What goes to `mount(2)`, and how many threads serve.
    package struct Options: Sendable {
        /// Bounds of the thread count: two, so that one slow request leaves a thread; eight,
        /// beyond which the kernel's one request queue is the bottleneck.
        package static let threadCounts = 2...8

        /// Mount options as libfuse takes them, such as `allow_other` and `fsname=…`.
        package var mountOptions: [String]
        /// Threads that serve, within `threadCounts`.
        package var threadCount: Int
        /// Whether the kernel shall read and write backing files by itself where it can, which
        /// excludes its write-back cache.
        package var passesThrough: Bool
        /// Whether others change the tree behind the kernel's back: it trusts what it is told for
        /// `CacheTime.followingSeconds`, looks at a file's size and time before it takes pages for
        /// its bytes, and must write nothing.
        package var follows: Bool
        /// Logs every request to standard error.
        package var debugs: Bool

        package init(
            mountOptions: [String],
            processorCount: Int,
            passesThrough: Bool = false,
            follows: Bool = false,
            debugs: Bool = false
        ) {
            self.mountOptions = mountOptions
            self.passesThrough = passesThrough
            self.follows = follows
            let counts = Self.threadCounts
            threadCount = min(max(processorCount, counts.lowerBound), counts.upperBound)
            self.debugs = debugs
        }
    }

    /// Why a session could not be made or mounted; libfuse has written more to standard error.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// The largest write request; the largest Linux has (256 pages).
    private static let writeBytesMax: UInt32 = 1 << 20
    /// Background requests (readahead, write-back) on their way at once, and how many make the
    /// kernel hold writers back.
    ///
    /// libfuse's 12 would leave a network's latency unhidden.
    private static let backgroundRequestsMax: UInt32 = 64
    private static let congestionThreshold: UInt32 = 48

    private struct Raw: @unchecked Sendable {
        // SAFETY: libfuse locks its session itself; the pointers are set once and freed in
        // `deinit`, when no thread can be inside a method any more.
        let session: OpaquePointer
        let table: UnsafeMutablePointer<fuse_lowlevel_ops>
        let context: Unmanaged<CallbackContext>
    }

    private let raw: Raw
    package let options: Options

    /// - Throws: `Failure` if libfuse refuses an option.
    package init(_ operations: any Operations, options: Options) throws(Failure) {
        self.options = options
        let table = UnsafeMutablePointer<fuse_lowlevel_ops>.allocate(capacity: 1)
        table.initialize(to: .all())
        let context = Unmanaged.passRetained(
            CallbackContext(operations, follows: options.follows)
        )
        var arguments = fuse_args()
        defer { fuse_opt_free_args(&arguments) }
        var words = ["mefs", "-o", options.mountOptions.joined(separator: ",")]
        if options.debugs { words.append("-d") }
        for word in words { fuse_opt_add_arg(&arguments, word) }
        guard let session = fuse_shim_session_new(&arguments, table, context.toOpaque()) else {
            context.release()
            table.deallocate()
            throw Failure(description: "libfuse refused the options \(options.mountOptions)")
        }
        raw = Raw(session: session, table: table, context: context)
    }

    deinit {
        fuse_session_destroy(raw.session)
        raw.context.release()
        raw.table.deallocate()
    }

    /// Mounts at `directory`; the kernel's first request waits for `serve`.
    package func mount(at directory: String) throws(Failure) {
        guard fuse_session_mount(raw.session, directory) == 0 else {
            throw Failure(description: "cannot mount at \(directory)")
        }
        // A failure costs speed, and O_TMPFILE and set-group-id bits some precision.
        _ = fuse_shim_offer_flags(raw.session, options.passesThrough)
    }

    /// Serves requests on the calling thread until the session ends; call it on
    /// `options.threadCount` threads.
    ///
    /// - Returns: 0 after an unmount, else the errno that ended the connection.
    package func serve() -> Int32 { -fuse_shim_serve(raw.session) }

    /// Takes the mount away, even if it is busy: what is open keeps its connection until closed.
    ///
    /// Does nothing once the kernel has ended the connection.
    package func unmount() { fuse_session_unmount(raw.session) }

    /// Whether the session has ended or was told to.
    package var hasEnded: Bool { fuse_session_exited(raw.session) != 0 }

    /// Has the kernel write back and drop the pages it caches of an inode, attributes too.
    ///
    /// Waits for write-back, that is for `serve` on another thread. Never call it from a method of
    /// `Operations`.
    ///
    /// - Returns: whether the kernel did, or knew nothing of the inode.
    @discardableResult
    package func invalidate(_ ino: InodeNumber) -> Bool {
        let result = fuse_lowlevel_notify_inval_inode(raw.session, ino.rawValue, 0, 0)
        return result == 0 || result == -ENOENT
    }

    /// Has the kernel ask for an inode's attributes again; its pages stay.
    ///
    /// Waits for nothing, so that methods of `Operations` may call it.
    package func invalidateAttributes(of ino: InodeNumber) {
        fuse_lowlevel_notify_inval_inode(raw.session, ino.rawValue, -1, 0)
    }

    /// Has the kernel drop what it knows of an entry; as `invalidate(_:)`.
    package func invalidate(_ name: EntryName, in parent: InodeNumber) {
        let text = name.bytes.map { CChar(bitPattern: $0) }
        fuse_lowlevel_notify_inval_entry(raw.session, parent.rawValue, text, text.count)
    }

    // MARK: Backing files

    /// Whether the kernel takes backing files; known once `Operations.started` was called.
    package var takesBackingFiles: Bool { fuse_shim_has_passthrough() }

    /// Gives the kernel an open file that it may read and write by itself.
    ///
    /// - Throws: `Failure` without CAP_SYS_ADMIN, and of a file on a stacked filesystem.
    package func openBacking(_ descriptor: Int32) throws(Failure) -> BackingFile {
        let number = fuse_shim_backing_open(raw.session, descriptor)
        guard number > 0 else {
            throw Failure(description: String(cString: strerror(-number)))
        }
        return BackingFile(number: number)
    }

    /// Takes it back; what is open with it goes on.
    package func closeBacking(_ file: BackingFile) {
        fuse_shim_backing_close(raw.session, file.number)
    }

    /// Chooses, of what the kernel offers, what serves a volume with a single writer best.
    ///
    /// If that is another machine, the kernel must take sizes and times as they come, which it does
    /// not with a write-back cache.
    static func negotiate(_ connection: inout fuse_conn_info, follows: Bool) {
        var wanted =
            FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_ATOMIC_O_TRUNC
            | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO
            | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS
            | FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK
        if follows {
            wanted = wanted & ~FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_AUTO_INVAL_DATA
        }
        // Left out: splice (slower here), POSIX and flock locks (the kernel's own are right for
        // a single mount), automatic invalidation (if nobody else writes), ioctl.
        connection.want = UInt32(bitPattern: Int32(wanted)) & connection.capable
        connection.max_write = writeBytesMax
        connection.max_background = backgroundRequestsMax
        connection.congestion_threshold = congestionThreshold
        connection.time_gran = 1
    }
}

/// Settings of the whole process that a FUSE server wants.
package enum ProcessMemory {
    /// Keeps freed buffers of up to 32 MiB for reuse; call once, at the start.
    ///
    /// Else malloc maps, zeroes and unmaps one for every request.
    package static func keepLargeBlocks() { fuse_shim_keep_large_blocks() }
}
