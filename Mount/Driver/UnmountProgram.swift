package import Control
import CLinux
import Disk
import Glibc

/// The command line of `umount.mefs`.
package struct UnmountOptions: Hashable, Sendable {
    package static let usage = """
        usage: umount.mefs DIR [-l] [-f] [-v] [-o drain=SECONDS]
        """

    package let directory: String
    /// Detach now, even if in use.
    package var isLazy = false
    /// Detach even if the mount process does not answer.
    package var isForced = false
    package var isVerbose = false
    /// Seconds that placing may take before the unmount.
    package var drainSeconds = MountOptions.drainSecondsDefault
    /// Whether `drain=` was given: then it is a failure if something remains.
    package var requiresDrain = false

    /// - Throws: `usage`, naming the argument that makes no sense.
    package init(parsing arguments: [String]) throws(ControlFailure) {
        let words = try HelperArguments(parsing: arguments)
        guard words.operands.count == 1 else { throw ControlFailure(.usage, Self.usage) }
        directory = words.operands[0]
        isLazy = words.flags.contains("l")
        isForced = words.flags.contains("f")
        isVerbose = words.flags.contains("v")
        for option in words.options {
            guard option.hasPrefix("drain=") else {
                throw ControlFailure(.usage, "unknown option '\(option)'; see umount.mefs(8)")
            }
            let value = String(option.dropFirst("drain=".count))
            drainSeconds = try OptionValue("drain", value)
                .seconds(max: MountOptions.drainSecondsMax)
            requiresDrain = true
        }
    }
}

/// What `umount(8)` runs for our mounts: places what is dirty, unmounts, and waits until the mount
/// process has gone.
struct UnmountProgram {
    /// For the mount process to close its files once there is nothing more to place.
    private static let endTimeout = Duration.seconds(60)

    private let options: UnmountOptions
    private let path: String
    private let source: String

    /// - Throws: `notFound` if nothing of ours is mounted there.
    init(_ options: UnmountOptions) throws(ControlFailure) {
        self.options = options
        // A dead mount still resolves: nothing of it is asked for that.
        path = (try? Directory.resolve(options.directory)) ?? options.directory
        guard let there = try MountPoint.table().top(at: path), there.isVolume else {
            throw ControlFailure(.notFound, "no MEFS volume is mounted at \(path)")
        }
        source = there.source
    }

    func run() throws(ControlFailure) {
        // Without waiting for anybody, if so told.
        let waits = !options.isLazy && !options.isForced
        let process = waits ? MountProcessHandle(of: path) : nil
        if let process, !process.follows, options.drainSeconds > 0 { place(process.socket) }
        try unmount()
        let remaining = process.map { end($0) } ?? 0
        guard remaining > 0 else { return }
        let text =
            "\(source): \(Self.bytes(remaining)) are only on this machine;"
            + " the next mount places them"
        if options.requiresDrain { throw ControlFailure(.incomplete, text) }
        Terminal.error("umount.mefs: \(text)")
    }

    // MARK: Placing

    /// Has the mount process place what is dirty, for as long as the options allow.
    private func place(_ socket: String) {
        let isOver = Condition(false)
        let showsProgress = Terminal.isInteractive
        // The client blocks for as long as it takes; we do not.
        let thread = try? Thread.spawn("sync") {
            try? ControlClient(path: socket).sync { progress in
                if showsProgress { Self.show(progress) }
            }
            isOver.update { $0 = true }
        }
        guard thread != nil else { return }
        _ = isOver.wait(for: .seconds(options.drainSeconds)) { $0 ? true : nil }
        if showsProgress { Terminal.raw("\r\u{1b}[K") }
    }

    private static func show(_ progress: SyncProgress) {
        guard progress.totalBytes > 0 else { return }
        let percent = Int(progress.fraction * 100)
        Terminal.raw("\r\u{1b}[Kplacing: \(percent) %, \(bytes(progress.remainingBytes)) left")
    }

    /// "512 bytes", "1.5 MiB".
    private static func bytes(_ count: UInt64) -> String {
        guard count >= 1024 else { return "\(count) bytes" }
        var tenths = count * 10 / 1024
        var units = ["KiB", "MiB", "GiB", "TiB"][...]
        while tenths >= 10_240, units.count > 1 {
            tenths /= 1024
            units = units.dropFirst()
        }
        return "\(tenths / 10).\(tenths % 10) \(units.first ?? "")"
    }

    // MARK: Unmounting

    private func unmount() throws(ControlFailure) {
        var flags: Int32 = 0
        if options.isLazy { flags |= Int32(MNT_DETACH) }
        if options.isForced { flags |= Int32(MNT_FORCE) }
        if umount2(path, flags) == 0 {
            if options.isVerbose { Terminal.error("umount.mefs: \(path) (\(source)) unmounted") }
            return
        }
        switch errno {
        case EBUSY:
            throw ControlFailure(
                .failed,
                "\(path) is in use; see 'fuser -vm \(path)', or take umount -l"
            )
        case EPERM: try unmountAsUser()
        case let code:
            throw ControlFailure(
                .failed,
                "cannot unmount \(path): \(DiskError.reason(of: code))"
            )
        }
    }

    /// Without the right to unmount: by libfuse's set-user-id helper.
    private func unmountAsUser() throws(ControlFailure) {
        let words = options.isLazy ? ["-u", "-z", path] : ["-u", path]
        do throws(DiskError) {
            guard try ChildProcess("/usr/bin/fusermount3", words).wait() != .exited(0) else {
                return
            }
        } catch {
            throw ControlFailure(error)
        }
        throw ControlFailure(.failed, "fusermount3 could not unmount \(path)")
    }

    /// Waits until the mount process has gone, so that what comes next, a shutdown or another
    /// mount, finds the volume at rest.
    ///
    /// - Returns: the bytes that remain on this machine only.
    private func end(_ process: MountProcessHandle) -> UInt64 {
        // What could not be placed in time is not tried for longer. A process that has ended
        // already had nothing left to do.
        let remaining = try? ControlClient(path: process.socket).stop(drainSeconds: 0)
        if !process.waitForEnd(Self.endTimeout) {
            Terminal.error("umount.mefs: the mount process of \(source) still runs")
        }
        return remaining ?? 0
    }
}

/// The mount process of a mount, got hold of before the mount goes.
private struct MountProcessHandle {
    /// Path of its control socket.
    let socket: String
    /// Whether it only reads, and so has nothing to place.
    let follows: Bool
    /// Polls as readable once the process has ended (`man 2 pidfd_open`).
    private let descriptor: Descriptor

    /// Fails if the process does not answer.
    init?(of mountPoint: String) {
        guard let socket = try? MountLocator.controlSocket(of: mountPoint),
            let status = try? ControlClient(path: socket).status()
        else { return nil }
        follows = status.follows != nil
        let pid = status.pid
        let fd = clinux_open_process(pid)
        guard fd >= 0 else { return nil }
        self.socket = socket
        descriptor = Descriptor(adopting: fd, path: "process \(pid)")
    }

    /// Whether the process ended within `timeout`.
    func waitForEnd(_ timeout: Duration) -> Bool {
        let deadline = Clock.monotonic() + timeout
        while true {
            let rest = max(deadline - Clock.monotonic(), .zero)
            var watch = pollfd(fd: descriptor.fd, events: Int16(POLLIN), revents: 0)
            let count = poll(&watch, 1, Int32(min(rest / .milliseconds(1), 60_000)))
            if count > 0 { return true }
            if rest == .zero { return false }
        }
    }
}
