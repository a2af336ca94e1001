import CLinux
import Control
import Disk
import Glibc

/// The directory a volume is mounted at.
struct MountPoint: Hashable, Sendable {
    /// Absolute and without symbolic links.
    let path: String

    /// Checks that a volume can be mounted at `directory`.
    ///
    /// A mount of ours whose process was killed is detached first: its directory answers nothing
    /// but ENOTCONN.
    ///
    /// - Throws: `notFound`, `usage` or `already`, saying what to do.
    init(
        preparing directory: String,
        allowsNonEmpty: Bool,
        note: (String) -> Void = { _ in }
    ) throws(ControlFailure) {
        path = try Self.resolve(directory)
        let table = try Self.table()
        if let there = table.top(at: path) {
            guard there.isVolume, Self.isDead(path) else {
                throw ControlFailure(
                    .already,
                    "\(path) is a mount point already (\(there.source), type \(there.type));"
                        + " unmount it first: umount \(path)"
                )
            }
            guard umount2(path, Int32(MNT_DETACH)) == 0 else {
                throw ControlFailure(
                    .failed,
                    "\(path) is left from a mount whose process died, and cannot be detached:"
                        + " \(DiskError.reason(of: errno))"
                )
            }
            note("detached \(there.source) from \(path): its mount process had died")
        }
        try Self.check(path, allowsNonEmpty: allowsNonEmpty)
    }

    private static func resolve(_ directory: String) throws(ControlFailure) -> String {
        do throws(DiskError) {
            return try Directory.resolve(directory)
        } catch {
            guard error.isNotFound else { throw ControlFailure(error) }
            throw ControlFailure(
                .notFound,
                "mount point \(directory) does not exist; make it: mkdir \(directory)"
            )
        }
    }

    static func table() throws(ControlFailure) -> MountTable {
        do throws(DiskError) {
            return try MountTable.current()
        } catch {
            throw ControlFailure(error)
        }
    }

    /// Whether the process behind a FUSE mount is gone.
    ///
    /// Asked by what only the process answers: `stat(2)` may come out of the kernel's cache.
    static func isDead(_ path: String) -> Bool {
        guard clinux_get_xattr(path, MountLocator.controlAttribute, nil, 0) < 0 else {
            return false
        }
        return errno == ENOTCONN || errno == ECONNABORTED
    }

    private static func check(
        _ path: String,
        allowsNonEmpty: Bool
    ) throws(ControlFailure) {
        guard Directory.isDirectory(path) else {
            throw ControlFailure(.usage, "mount point \(path) is not a directory")
        }
        guard !allowsNonEmpty else { return }
        let names: [String]
        do throws(DiskError) {
            names = try Directory.list(path)
        } catch {
            throw ControlFailure(error)
        }
        guard names.isEmpty else {
            throw ControlFailure(
                .usage,
                "mount point \(path) is not empty, and a mount would hide what is in it; take"
                    + " another directory, or mount with -o nonempty"
            )
        }
    }
}
