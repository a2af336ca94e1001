import CFuse
import CFuseShim
import Glibc
package import Primitives

/// One request of the kernel, to be answered exactly once.
///
/// Every reply consumes the request, so that the compiler refuses a second one; a request that is
/// dropped unanswered answers EIO, so that no program waits for ever.
package struct Request: ~Copyable {
    private let raw: OpaquePointer

    init(_ raw: OpaquePointer) { self.raw = raw }

    deinit { fuse_reply_err(raw, EIO) }

    /// Who asks; meaningless for writes from the page cache.
    package var caller: Caller {
        guard let context = fuse_req_ctx(raw) else { return Caller(uid: 0, gid: 0, pid: 0) }
        return Caller(
            uid: context.pointee.uid,
            gid: context.pointee.gid,
            pid: context.pointee.pid,
            umask: UInt16(context.pointee.umask & 0o777)
        )
    }

    /// Lets another thread reply, later.
    package consuming func handOver() -> Handover {
        let raw = raw
        discard self
        return Handover(raw)
    }

    /// Answers with an errno, which must not be 0.
    package consuming func fail(_ code: Int32) {
        let raw = raw
        discard self
        fuse_reply_err(raw, code)
    }

    /// Answers that it is done.
    package consuming func done() {
        let raw = raw
        discard self
        fuse_reply_err(raw, 0)
    }

    /// Answers with the inode an entry leads to, giving the kernel one reference to it.
    ///
    /// - Returns: whether the kernel took the reply; if not, the reference is to be taken back.
    package consuming func reply(
        entry attributes: Attributes,
        trust: EntryTrust = .full
    ) -> Bool {
        let raw = raw
        discard self
        var entry = fuse_entry_param(
            attributes,
            trust.limited(to: CallbackContext.of(raw).secondsMax)
        )
        return fuse_reply_entry(raw, &entry) == 0
    }

    /// Answers that there is no such entry, which the kernel may remember.
    package consuming func replyNoEntry() {
        let raw = raw
        discard self
        var entry = fuse_entry_param()
        entry.entry_timeout = CallbackContext.of(raw).secondsMax
        fuse_reply_entry(raw, &entry)
    }

    /// Answers with attributes; the kernel asks again each time if they `mayChange` unseen.
    package consuming func reply(attributes: Attributes, mayChange: Bool = false) {
        let raw = raw
        discard self
        var status = stat(attributes)
        fuse_reply_attr(raw, &status, mayChange ? 0 : CallbackContext.of(raw).secondsMax)
    }

    /// Answers with a symbolic link's target, which holds no NUL.
    package consuming func reply(target: [UInt8]) {
        let raw = raw
        discard self
        let text = target.map { CChar(bitPattern: $0) } + [0]
        fuse_reply_readlink(raw, text)
    }

    /// Answers that the file is open.
    ///
    /// - Returns: whether the kernel took the reply; if not, no release will follow.
    package consuming func replyOpened(forWriting: Bool, _ service: Service) -> Bool {
        let raw = raw
        discard self
        switch service {
        case .requests(let keepsPages):
            var file = fuse_file_info(openedForWriting: forWriting, keepsPages: keepsPages)
            return fuse_reply_open(raw, &file) == 0
        case .passthrough(let backing):
            let handle = OpenHandle(isForWriting: forWriting, passesThrough: true).number
            return fuse_shim_reply_open(raw, handle, backing.number, false) == 0
        case .directRequests(let backing):
            let handle = OpenHandle(isForWriting: forWriting, passesThrough: true).number
            return fuse_shim_reply_open(raw, handle, backing.number, true) == 0
        }
    }

    /// Answers that the file was made and is open; as `reply(entry:)` and `replyOpened` together.
    package consuming func replyCreated(
        _ attributes: Attributes,
        forWriting: Bool,
        _ service: Service
    ) -> Bool {
        let raw = raw
        discard self
        let secondsMax = CallbackContext.of(raw).secondsMax
        var entry = fuse_entry_param(attributes, EntryTrust.full.limited(to: secondsMax))
        let backing: BackingFile
        let isDirect: Bool
        switch service {
        case .requests(let keepsPages):
            var file = fuse_file_info(openedForWriting: forWriting, keepsPages: keepsPages)
            return fuse_reply_create(raw, &entry, &file) == 0
        case .passthrough(let file): (backing, isDirect) = (file, false)
        case .directRequests(let file): (backing, isDirect) = (file, true)
        }
        // What is written is not told, and a mapping changes times without a word.
        entry.attr_timeout = 0
        let handle = OpenHandle(isForWriting: forWriting, passesThrough: true).number
        return fuse_shim_reply_create(raw, &entry, handle, backing.number, isDirect) == 0
    }

    package consuming func reply(bytes: UnsafeRawBufferPointer) {
        let raw = raw
        discard self
        fuse_reply_buf(raw, bytes.baseAddress, bytes.count)
    }

    package consuming func reply(bytes: [UInt8]) {
        let raw = raw
        discard self
        bytes.withUnsafeBytes { _ = fuse_reply_buf(raw, $0.baseAddress, $0.count) }
    }

    /// Answers with a directory's entries.
    ///
    /// - Returns: whether the kernel took the reply.
    package consuming func reply(listing: consuming DirectoryListing) -> Bool {
        let raw = raw
        discard self
        return listing.withBytes { fuse_reply_buf(raw, $0.baseAddress, $0.count) == 0 }
    }

    /// Answers how many bytes were written or copied.
    package consuming func reply(written count: Int) {
        let raw = raw
        discard self
        fuse_reply_write(raw, count)
    }

    /// Answers how many bytes a value or list of extended attributes has.
    package consuming func reply(attributeBytes count: Int) {
        let raw = raw
        discard self
        fuse_reply_xattr(raw, count)
    }

    /// Answers with a file offset.
    package consuming func reply(offset: UInt64) {
        let raw = raw
        discard self
        guard let offset = Int(exactly: offset) else {
            fuse_reply_err(raw, EOVERFLOW)
            return
        }
        fuse_reply_lseek(raw, offset)
    }

    package consuming func reply(space: FileSystemSpace) {
        let raw = raw
        discard self
        var status = statvfs(space)
        fuse_reply_statfs(raw, &status)
    }
}

/// The process that made a request.
package struct Caller: Hashable, Sendable {
    package let uid: UInt32
    package let gid: UInt32
    /// The thread's number; 0 if it is of another namespace of processes.
    package let pid: Int32
    /// Of requests that make an inode the caller's umask, else 0.
    package let umask: UInt16

    package init(uid: UInt32, gid: UInt32, pid: Int32, umask: UInt16 = 0) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.umask = umask
    }
}

/// What `statfs(2)` tells.
package struct FileSystemSpace: Hashable, Sendable {
    package let totalBytes: UInt64
    package let freeBytes: UInt64
    package let fileCount: UInt64
    package let filesMax: UInt64

    package init(totalBytes: UInt64, freeBytes: UInt64, fileCount: UInt64, filesMax: UInt64) {
        self.totalBytes = totalBytes
        self.freeBytes = freeBytes
        self.fileCount = fileCount
        self.filesMax = filesMax
    }
}
