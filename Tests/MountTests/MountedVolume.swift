import Control
import Disk
import Glibc
import Mount
import Testing

/// What the tests of this folder need of the machine.
enum Machine {
    /// The folder of the built programs: that of the test program itself.
    static let programs: String = {
        guard let path = try? Host.executablePath() else { return "." }
        return Directory.parent(of: path)
    }()

    /// Options of all mounts, of the environment: the tests hold with passthrough=off too.
    static let mountOptions = getenv("MEFS_TEST_OPTIONS").map { ["-o", String(cString: $0)] } ?? []

    static let canMount =
        WholeFile.exists("/dev/fuse") && geteuid() == 0 && WholeFile.exists(programs + "/mefs")
        && WholeFile.exists(programs + "/mount.mefs")
}

/// A home and a mount point of their own, and the real programs at work on them.
struct MountedVolume {
    /// For a command to end; a hung one must not hang the tests.
    private static let commandTimeout = Duration.seconds(240)

    /// Removed at the end.
    let root: String
    /// An empty directory on the local disk, to compare with.
    var plain: String { root + "/plain" }
    var mountPoint: String { root + "/mnt" }
    var home: String { root + "/home" }
    var socket: String { home + "/volumes/home/control.sock" }
    private var output: String { root + "/output" }

    /// How a command ended, and what it wrote.
    struct Ended {
        let code: Int32
        let output: String
    }

    /// Runs `body` with nothing mounted yet, and cleans up whatever it leaves.
    static func with(_ body: (MountedVolume) throws -> Void) throws {
        let volume = try make()
        defer { volume.cleanUp() }
        try body(volume)
    }

    /// A home and a mount point with nothing mounted yet; the maker calls `cleanUp`.
    static func make() throws -> MountedVolume {
        let template = strdup("/var/tmp/mefs-mount-tests.XXXXXX")
        defer { free(template) }
        let made = try #require(template.flatMap { mkdtemp($0) }, "no temporary directory")
        let volume = MountedVolume(root: String(cString: made))
        try Directory.make(volume.plain)
        try Directory.make(volume.mountPoint)
        try Directory.make(volume.root + "/bin")
        chmod(volume.root, 0o755)
        for name in ["umount.mefs", "umount.fuse.mefs"] {
            symlink(Machine.programs + "/mount.mefs", "\(volume.root)/bin/\(name)")
        }
        return volume
    }

    /// Takes away whatever is mounted, and the folder.
    func cleanUp() {
        let pid = try? processID()
        while (try? MountTable.current())?.top(at: mountPoint) != nil {
            guard umount2(mountPoint, Int32(MNT_DETACH)) == 0 else { break }
        }
        if let pid {
            kill(pid, SIGKILL)
            waitForEnd(of: pid)
        }
        // The daemons of the embedded network end with the mount process, and hold their locks
        // until they have.
        for name in ["keeper"] + (1...6).map({ "provider-\($0)" }) {
            let lock = "\(home)/networks/local/\(name)/lock"
            for _ in 0..<600 where FileLock.holder(of: lock) != nil {
                Clock.sleep(for: .milliseconds(50))
            }
        }
        // Not by ours, which leaves names alone that are not UTF-8.
        _ = try? ChildProcess("/bin/rm", ["-rf", root]).wait()
    }

    // MARK: Programs

    /// Runs a program to its end, with MEFS_HOME set.
    @discardableResult
    func run(_ program: String, _ arguments: [String]) throws -> Ended {
        try WholeFile.remove(output)
        let child = try ChildProcess(
            "/usr/bin/env",
            ["MEFS_HOME=\(home)", program] + arguments,
            output: .file(output)
        )
        guard let end = child.wait(for: Self.commandTimeout) else {
            child.signal(SIGKILL)
            _ = child.wait()
            let text = String(decoding: (try? WholeFile.read(output)) ?? [], as: UTF8.self)
            Issue.record("\(program) \(arguments) did not end: \(text)")
            return Ended(code: -1, output: text)
        }
        let text = String(decoding: try WholeFile.read(output), as: UTF8.self)
        guard case .exited(let code) = end else { return Ended(code: -1, output: "\(end) \(text)") }
        return Ended(code: code, output: text)
    }

    /// Mounts the embedded volume.
    func mount(_ arguments: [String] = []) throws {
        let ended = try tryMount([mountPoint] + arguments)
        try #require(ended.code == 0, "mount.mefs: \(ended.output)")
    }

    func tryMount(_ arguments: [String]) throws -> Ended {
        try run(Machine.programs + "/mount.mefs", arguments + Machine.mountOptions)
    }

    /// Unmounts with the helper.
    func unmount(_ arguments: [String] = []) throws -> Ended {
        try run(root + "/bin/umount.mefs", [mountPoint] + arguments)
    }

    func mefs(_ arguments: [String]) throws -> Ended {
        try run(Machine.programs + "/mefs", arguments)
    }

    /// Runs a Python program in `directory`.
    func python(
        _ program: String,
        in directory: String,
        _ arguments: [String] = []
    ) throws -> Ended {
        let file = root + "/program.py"
        try WholeFile.replace(file, with: Array(program.utf8))
        return try run("/usr/bin/env", ["-C", directory, "python3", file] + arguments)
    }

    // MARK: The mount process

    func processID() throws -> Int32 { try ControlClient(path: socket).status().pid }

    func waitForEnd(of pid: Int32) {
        // The process is not ours to wait for: it is asked for until it is gone.
        for _ in 0..<1200 where kill(pid, 0) == 0 { Clock.sleep(for: .milliseconds(50)) }
    }

    /// Kills the mount process as a crash would, and waits until it is gone.
    func kill9() throws {
        let pid = try processID()
        kill(pid, SIGKILL)
        waitForEnd(of: pid)
    }

    var log: String {
        let bytes = (try? WholeFile.read(home + "/volumes/home/mount.log")) ?? []
        return String(decoding: bytes, as: UTF8.self)
    }
}
