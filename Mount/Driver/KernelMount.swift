import CLinux
import Disk
import FUSE
import Glibc
import Logging

/// Our entry in the kernel's table of mounts: how it is reached and taken away.
final class KernelMount: Sendable {
    /// What the kernel reads ahead, in KiB: four of its largest requests, which the network
    /// answers side by side.
    ///
    /// FUSE's own default of 128 KiB is less than one of them.
    private static let readAheadKiB = 4096

    let path: String
    private let session: Session
    /// MAJOR:MINOR, which tells our mount from another at the same place.
    private let device: String?
    private let logger: Logger

    /// Takes hold of the mount that `session` has just made at `path`.
    init(_ session: Session, at path: String, logger: Logger) {
        self.session = session
        self.path = path
        self.logger = logger
        device = (try? MountTable.current())?.top(at: path)?.device
    }

    /// Has the kernel read ahead as far as is good for us; only the superuser can.
    func widenReadAhead() {
        guard let device else { return }
        let file = "/sys/class/bdi/\(device)/read_ahead_kb"
        let fd = open(file, O_WRONLY | O_CLOEXEC)
        guard fd >= 0 else { return }
        defer { close(fd) }
        let text = Array("\(Self.readAheadKiB)".utf8)
        if write(fd, text, text.count) < 0 { logger.debug("\(file) cannot be set") }
    }

    /// Enters the mount in the table of `mount(8)` (`/run/mount/utab`), if we are the superuser.
    ///
    /// `umount(8)` takes a mount without an entry for one of type "fuse", and so does not find
    /// our helper.
    func enterUserTable() {
        guard geteuid() == 0, let source = (try? MountTable.current())?.top(at: path)?.source
        else { return }
        let table = (try? WholeFile.read("/run/mount/utab")) ?? []
        let entry = "SRC=\(source) TARGET=\(path) "
        // An entry that was left behind by an unmount that went past umount(8) serves again.
        guard !String(decoding: table, as: UTF8.self).contains(entry) else { return }
        // -i -f: no helper, no system call, only the table.
        let words = [
            "--no-canonicalize", "-i", "-f", "-t", "fuse.mefs", "-o", "rw,uhelper=fuse.mefs",
            source, path,
        ]
        let end = try? ChildProcess("/bin/mount", words, output: .null).wait()
        if end != .exited(0) { logger.debug("mount(8) does not know of \(path)") }
    }

    /// Whether what is mounted at the path now is ours.
    var isThere: Bool {
        guard let device, let table = try? MountTable.current() else { return false }
        return table.top(at: path)?.device == device
    }

    /// Has the kernel hand over the bytes that programs wrote and it has only cached.
    ///
    /// Needs the session's threads.
    func writeBack() {
        guard isThere, let root = try? Descriptor(opening: path, .readOnly, .directory) else {
            return
        }
        do throws(DiskError) {
            try root.syncFilesystem()
        } catch {
            logger.warning("the kernel could not write everything back: \(error)")
        }
    }

    /// Unmounts; if programs still use the mount, they lose it.
    func takeAway() {
        writeBack()
        guard isThere else { return }
        if umount2(path, 0) == 0 { return }
        let code = errno
        if code == EBUSY {
            logger.warning("\(path) is in use; its programs lose it")
            // The kernel flushes nothing after this; what was written meanwhile is not synced.
            let flags = Int32(MNT_FORCE) | Int32(MNT_DETACH)
            if umount2(path, flags) == 0 { return }
        }
        // Not the superuser: libfuse asks its set-user-id helper.
        session.unmount()
    }

    /// Ends the connection of a mount that lives on in another mount namespace, or whose files
    /// are open, where the kernel's control filesystem is mounted.
    func abort() {
        guard let minor = device?.split(separator: ":").last else { return }
        let fd = open("/sys/fs/fuse/connections/\(minor)/abort", O_WRONLY | O_CLOEXEC)
        guard fd >= 0 else { return }
        defer { close(fd) }
        _ = write(fd, "1", 1)
    }
}
