import CFuse
import CFuseShim
import Glibc
import Primitives

// The kernel's flag words as values of ours.

extension AttributeChange {
    /// The change to those fields of `values` that the `FUSE_SET_ATTR_*` bits of `valid` name.
    init(_ values: stat, valid: Int32) {
        self.init()
        if valid & FUSE_SET_ATTR_MODE != 0 { mode = UInt16(values.st_mode & 0o7777) }
        if valid & FUSE_SET_ATTR_UID != 0 { uid = values.st_uid }
        if valid & FUSE_SET_ATTR_GID != 0 { gid = values.st_gid }
        if valid & FUSE_SET_ATTR_SIZE != 0 { size = UInt64(max(0, values.st_size)) }
        // With FUSE_SET_ATTR_ATIME_NOW too the kernel gives the time, by its own clock.
        if valid & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW) != 0 {
            accessed = Timestamp(values.st_atim)
        }
        if valid & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW) != 0 {
            modified = Timestamp(values.st_mtim)
        }
        if valid & FUSE_SET_ATTR_CTIME != 0 { changed = Timestamp(values.st_ctim) }
    }
}

extension NewInode {
    /// An inode that belongs to its maker, who wants no more of `mode` than the umask lets
    /// through, unless the directory has a default access list.
    init(_ kind: FileKind, _ mode: UInt32, _ caller: Caller, rdev: UInt64 = 0) {
        self.init(
            kind: kind,
            mode: UInt16(mode & 0o7777),
            uid: caller.uid,
            gid: caller.gid,
            rdev: rdev
        )
        umask = caller.umask
    }
}

extension OpenRequest {
    init(flags: Int32, killsPrivileges: Bool) {
        self.init(
            isForWriting: flags & O_ACCMODE != O_RDONLY,
            isForReading: flags & O_ACCMODE != O_WRONLY,
            truncates: flags & O_TRUNC != 0,
            isExclusive: flags & O_EXCL != 0,
            killsPrivileges: killsPrivileges,
            isDirect: flags & fuse_shim_open_direct != 0,
            // O_SYNC contains the bit of O_DSYNC.
            isSynchronous: flags & O_DSYNC != 0
        )
    }
}

extension RenameMode {
    init?(flags: UInt32) {
        switch flags & ~fuse_shim_rename_whiteout {
        case 0: self = .replace
        case fuse_shim_rename_noreplace: self = .noReplace
        case fuse_shim_rename_exchange where flags == fuse_shim_rename_exchange: self = .exchange
        default: return nil
        }
    }
}

extension NewInode {
    /// What a renaming with RENAME_WHITEOUT in its `flags` leaves at the old name: a character
    /// device 0:0 without permissions (`man 2 rename`).
    static func whiteout(flags: UInt32, _ caller: Caller) -> NewInode? {
        guard flags & fuse_shim_rename_whiteout != 0 else { return nil }
        return NewInode(.characterDevice, 0, caller)
    }
}

extension XattrMode {
    init?(flags: Int32) {
        switch flags {
        case 0: self = .set
        case fuse_shim_xattr_create: self = .create
        case fuse_shim_xattr_replace: self = .replace
        default: return nil
        }
    }
}

extension AllocationMode {
    init?(mode: Int32) {
        let keep = fuse_shim_falloc_keep_size
        switch mode {
        case 0: self = .reserve
        case keep: self = .reserveKeepingSize
        case fuse_shim_falloc_punch_hole | keep: self = .punchHole
        case fuse_shim_falloc_zero_range: self = .zero
        case fuse_shim_falloc_zero_range | keep: self = .zeroKeepingSize
        default: return nil
        }
    }
}

extension SeekKind {
    init?(whence: Int32) {
        switch whence {
        case fuse_shim_seek_data: self = .data
        case fuse_shim_seek_hole: self = .hole
        default: return nil
        }
    }
}
