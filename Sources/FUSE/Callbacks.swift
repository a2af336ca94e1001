import CFuse
import CFuseShim
import Glibc
import Primitives

// libfuse's table of C functions, each turning its arguments into ours. The closures capture
// nothing; the session's operations come back through the request's user data.

/// What a session keeps for the callbacks; one allocation that outlives the session.
final class CallbackContext: Sendable {
    let operations: any Operations
    /// Whether others change the tree behind the kernel's back.
    let follows: Bool
    /// How long the kernel may trust what it is told.
    var secondsMax: Double { follows ? CacheTime.followingSeconds : CacheTime.seconds }

    init(_ operations: any Operations, follows: Bool) {
        self.operations = operations
        self.follows = follows
    }

    static func of(_ raw: OpaquePointer?) -> CallbackContext { at(fuse_req_userdata(raw)) }

    static func at(_ userdata: UnsafeMutableRawPointer?) -> CallbackContext {
        guard let userdata else { preconditionFailure("the session was made with user data") }
        return Unmanaged<CallbackContext>.fromOpaque(userdata).takeUnretainedValue()
    }

    static func operations(of raw: OpaquePointer?) -> any Operations { of(raw).operations }
}

/// Calls `body` with the request and the operations to ask; libfuse never passes a null request.
private func serve(
    _ raw: OpaquePointer?,
    _ body: (any Operations, consuming Request) -> Void
) {
    guard let raw else { return }
    body(CallbackContext.operations(of: raw), Request(raw))
}

/// The bytes of a C string, without its NUL.
private func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8] {
    guard let text else { return [] }
    return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
}

/// A file offset of the kernel, which never sends a negative one.
private func unsigned(_ offset: Int) -> UInt64 { UInt64(max(0, offset)) }

extension fuse_lowlevel_ops {
    static func all() -> fuse_lowlevel_ops {
        var table = fuse_lowlevel_ops()
        table.addLifeCycle()
        table.addAttributes()
        table.addNames()
        table.addNewInodes()
        table.addOpenings()
        table.addContent()
        table.addDirectories()
        table.addExtendedAttributes()
        return table
    }

    private mutating func addLifeCycle() {
        `init` = { userdata, connection in
            guard let connection else { return }
            let context = CallbackContext.at(userdata)
            Session.negotiate(&connection.pointee, follows: context.follows)
            context.operations.started()
        }
        forget = { raw, ino, count in
            CallbackContext.operations(of: raw).forget(InodeNumber(ino), count: count)
            fuse_reply_none(raw)
        }
        forget_multi = { raw, count, forgets in
            let operations = CallbackContext.operations(of: raw)
            for forget in UnsafeBufferPointer(start: forgets, count: count) {
                operations.forget(InodeNumber(forget.ino), count: forget.nlookup)
            }
            fuse_reply_none(raw)
        }
        statfs = { raw, _ in
            serve(raw) { $0.statistics($1) }
        }
    }

    private mutating func addAttributes() {
        getattr = { raw, ino, _ in
            serve(raw) { $0.getAttributes($1, of: InodeNumber(ino)) }
        }
        setattr = { raw, ino, values, valid, _ in
            let kills = fuse_shim_kills_privileges()
            serve(raw) { operations, request in
                guard let values else { return }
                operations.setAttributes(
                    request,
                    AttributeChange(values.pointee, valid: valid),
                    of: InodeNumber(ino),
                    killsPrivileges: kills
                )
            }
        }
        readlink = { raw, ino in
            serve(raw) { $0.readLink($1, InodeNumber(ino)) }
        }
    }

    private mutating func addNames() {
        lookup = { raw, parent, name in
            serve(raw) { $0.lookup($1, name: bytes(name), in: InodeNumber(parent)) }
        }
        link = { raw, ino, parent, name in
            serve(raw) {
                $0.link($1, InodeNumber(ino), name: bytes(name), in: InodeNumber(parent))
            }
        }
        unlink = { raw, parent, name in
            serve(raw) { $0.unlink($1, name: bytes(name), in: InodeNumber(parent)) }
        }
        rmdir = { raw, parent, name in
            serve(raw) { $0.removeDirectory($1, name: bytes(name), in: InodeNumber(parent)) }
        }
        rename = { raw, parent, name, newParent, newName, flags in
            serve(raw) { operations, request in
                let whiteout = NewInode.whiteout(flags: flags, request.caller)
                operations.rename(
                    request,
                    name: bytes(name),
                    in: InodeNumber(parent),
                    to: bytes(newName),
                    in: InodeNumber(newParent),
                    mode: RenameMode(flags: flags),
                    whiteout: whiteout
                )
            }
        }
    }

    private mutating func addNewInodes() {
        mknod = { raw, parent, name, mode, device in
            serve(raw) { operations, request in
                guard let kind = FileKind(modeBits: mode) else { return request.fail(EINVAL) }
                let new = NewInode(kind, mode, request.caller, rdev: UInt64(device))
                operations.make(request, new, name: bytes(name), in: InodeNumber(parent))
            }
        }
        mkdir = { raw, parent, name, mode in
            serve(raw) { operations, request in
                let new = NewInode(.directory, mode, request.caller)
                operations.make(request, new, name: bytes(name), in: InodeNumber(parent))
            }
        }
        symlink = { raw, target, parent, name in
            serve(raw) { operations, request in
                var new = NewInode(.symbolicLink, 0o777, request.caller)
                new.target = bytes(target)
                operations.make(request, new, name: bytes(name), in: InodeNumber(parent))
            }
        }
        create = { raw, parent, name, mode, file in
            let kills = fuse_shim_kills_privileges()
            let isUnnamed = fuse_shim_is_unnamed()
            serve(raw) { operations, request in
                let how = OpenRequest(flags: file?.pointee.flags ?? 0, killsPrivileges: kills)
                let new = NewInode(.regular, mode, request.caller)
                guard !isUnnamed else {
                    return operations.createUnnamed(request, new, in: InodeNumber(parent), how: how)
                }
                operations.create(
                    request,
                    new,
                    name: bytes(name),
                    in: InodeNumber(parent),
                    how: how
                )
            }
        }
    }

    private mutating func addOpenings() {
        open = { raw, ino, file in
            let kills = fuse_shim_kills_privileges()
            serve(raw) {
                let how = OpenRequest(flags: file?.pointee.flags ?? 0, killsPrivileges: kills)
                $0.open($1, InodeNumber(ino), how: how)
            }
        }
        release = { raw, ino, file in
            let handle = OpenHandle(file?.pointee.fh ?? 0)
            serve(raw) { $0.release($1, InodeNumber(ino), handle) }
        }
        // ENOSYS once, and the kernel asks no more at every close(2): it has written the file's
        // pages back by then, and a filesystem that needs to know has `release`.
        flush = { raw, _, _ in fuse_reply_err(raw, ENOSYS) }
        fsync = { raw, ino, dataOnly, _ in
            serve(raw) { $0.sync($1, InodeNumber(ino), dataOnly: dataOnly != 0) }
        }
    }

    private mutating func addContent() {
        read = { raw, ino, size, offset, _ in
            serve(raw) {
                $0.read($1, InodeNumber(ino), offset: unsigned(offset), count: size)
            }
        }
        write = { raw, ino, start, size, offset, file in
            let kills = fuse_shim_kills_privileges()
            let isFromCache = file.map { $0.pointee.writepage != 0 } ?? false
            serve(raw) {
                $0.write(
                    $1,
                    InodeNumber(ino),
                    offset: unsigned(offset),
                    bytes: UnsafeRawBufferPointer(start: start, count: size),
                    killsPrivileges: kills,
                    isFromCache: isFromCache
                )
            }
        }
        fallocate = { raw, ino, mode, offset, length, _ in
            serve(raw) {
                let start = unsigned(offset)
                let (end, overflow) = start.addingReportingOverflow(unsigned(length))
                guard !overflow else { return $1.fail(EFBIG) }
                $0.allocate(
                    $1,
                    InodeNumber(ino),
                    range: start..<end,
                    mode: AllocationMode(mode: mode)
                )
            }
        }
        lseek = { raw, ino, offset, whence, _ in
            serve(raw) {
                guard let target = SeekKind(whence: whence) else { return $1.fail(EINVAL) }
                $0.seek($1, InodeNumber(ino), from: unsigned(offset), to: target)
            }
        }
        copy_file_range = { raw, source, sourceOffset, _, target, targetOffset, _, size, _ in
            serve(raw) {
                $0.copyRange(
                    $1,
                    from: InodeNumber(source),
                    at: unsigned(sourceOffset),
                    to: InodeNumber(target),
                    at: unsigned(targetOffset),
                    count: UInt64(size)
                )
            }
        }
    }

    private mutating func addDirectories() {
        // ENOSYS once, and the kernel opens and closes directories by itself from then on, caching
        // their entries (FUSE_NO_OPENDIR_SUPPORT): a listing needs nothing but its cookie here.
        opendir = { raw, _, _ in fuse_reply_err(raw, ENOSYS) }
        readdir = { raw, ino, size, offset, _ in
            serve(raw) {
                let listing = DirectoryListing(
                    bytesMax: size,
                    carriesAttributes: false,
                    secondsMax: CallbackContext.of(raw).secondsMax
                )
                $0.readDirectory(
                    $1,
                    InodeNumber(ino),
                    after: unsigned(offset),
                    listing: listing
                )
            }
        }
        readdirplus = { raw, ino, size, offset, _ in
            serve(raw) {
                let listing = DirectoryListing(
                    bytesMax: size,
                    carriesAttributes: true,
                    secondsMax: CallbackContext.of(raw).secondsMax
                )
                $0.readDirectory(
                    $1,
                    InodeNumber(ino),
                    after: unsigned(offset),
                    listing: listing
                )
            }
        }
        fsyncdir = { raw, ino, dataOnly, _ in
            serve(raw) { $0.syncDirectory($1, InodeNumber(ino), dataOnly: dataOnly != 0) }
        }
    }

    private mutating func addExtendedAttributes() {
        getxattr = { raw, ino, name, size in
            serve(raw) {
                $0.getExtendedAttribute($1, bytes(name), of: InodeNumber(ino), bytesMax: size)
            }
        }
        setxattr = { raw, ino, name, value, size, flags in
            let clearsSetGroup = fuse_shim_clears_set_group()
            serve(raw) {
                let value = Array(UnsafeRawBufferPointer(start: value, count: size))
                $0.setExtendedAttribute(
                    $1,
                    bytes(name),
                    to: value,
                    mode: XattrMode(flags: flags),
                    clearsSetGroup: clearsSetGroup,
                    of: InodeNumber(ino)
                )
            }
        }
        listxattr = { raw, ino, size in
            serve(raw) {
                $0.listExtendedAttributes($1, of: InodeNumber(ino), bytesMax: size)
            }
        }
        removexattr = { raw, ino, name in
            serve(raw) { $0.removeExtendedAttribute($1, bytes(name), of: InodeNumber(ino)) }
        }
    }
}
