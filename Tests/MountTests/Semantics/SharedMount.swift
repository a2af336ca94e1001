import Disk
import Testing

/// Mounts one volume for all tests of a suite; each works in a directory of its own there.
///
/// Each test is named by the id of a sentence in docs/semantics.md, and proves that sentence.
struct SharedMount: SuiteTrait, TestScoping {
    @TaskLocal private static var current: SharedVolume?

    /// Options of the mount.
    let options: String
    /// Run with nothing mounted, before the first mount; what it returns runs at the end.
    let prepare: @Sendable (MountedVolume) throws -> @Sendable () -> Void

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        let volume = try MountedVolume.make()
        defer { volume.cleanUp() }
        let end = try prepare(volume)
        defer { end() }
        let shared = SharedVolume(volume: volume, options: options)
        try shared.mount()
        try await Self.$current.withValue(shared) { try await function() }
    }

    /// The volume of the suite that the calling test belongs to.
    static var volume: SharedVolume {
        get throws { try #require(current, "the suite has no trait .mounted") }
    }
}

extension Trait where Self == SharedMount {
    /// Mounts the embedded volume for the suite.
    static func mounted(
        _ options: String = "epoch=3600",
        prepare: @escaping @Sendable (MountedVolume) throws -> @Sendable () -> Void = { _ in {} }
    ) -> SharedMount {
        SharedMount(options: options, prepare: prepare)
    }
}

/// A volume that the tests of a suite use one after the other.
struct SharedVolume: Sendable {
    let volume: MountedVolume
    let options: String

    func mount() throws {
        try volume.mount(["-o", options])
    }
}

/// Runs a Python program in a new directory of the suite's mount, named `directory`; it asserts
/// what is promised.
func holds(
    _ program: String,
    in directory: String = #function,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    try Story(in: directory).runs(program, sourceLocation: sourceLocation)
}

/// What happens in one directory of the suite's mount, step by step.
struct Story {
    let shared: SharedVolume
    let directory: String
    var volume: MountedVolume { shared.volume }

    init(in directory: String = #function) throws {
        shared = try SharedMount.volume
        self.directory = String(directory.prefix { $0 != "(" })
        try Directory.make(path, permissions: 0o777)
    }

    var path: String { volume.mountPoint + "/" + directory }

    /// Runs a Python program in the directory.
    ///
    /// It has the process number of the mount, to kill it, and the root of the test's folder.
    func runs(_ program: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let pid = try volume.processID()
        let ended = try volume.python(
            Program.prelude + Program.promises + program,
            in: path,
            ["\(pid)", volume.root]
        )
        #expect(ended.code == 0, "\(ended.output)", sourceLocation: sourceLocation)
    }

    /// Waits until the killed mount process is gone, and mounts again.
    func mountsAgain(after pid: Int32) throws {
        volume.waitForEnd(of: pid)
        try shared.mount()
    }

    /// Runs `before`, which ends by killing the mount process; mounts again and runs `after`.
    func survivesKill(
        _ before: String,
        then after: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let pid = try volume.processID()
        try runs(before + "\nkill_mount()\n", sourceLocation: sourceLocation)
        try mountsAgain(after: pid)
        try runs(after, sourceLocation: sourceLocation)
    }
}

extension Program {
    /// What programs that prove promises use beside the prelude.
    static let promises = """
        import signal, subprocess
        mount_process, root = int(sys.argv[1]), sys.argv[2]
        def fails(name, call, *arguments, **named):
            try: result = call(*arguments, **named)
            except OSError as error:
                assert errno.errorcode[error.errno] == name, (name, error)
            else: raise AssertionError(f'{call} gave {result!r}, not {name}')
        def kill_mount():
            sys.stdout.flush(); os.kill(mount_process, signal.SIGKILL)
        def bytes_of(count, seed=1): return random.Random(seed).randbytes(count)
        def make(name, data=b'', mode=0o644):
            fd = os.open(name, os.O_RDWR | os.O_CREAT, mode)
            if data: assert os.pwrite(fd, data, 0) == len(data)
            return fd
        def each(count, body):
            pids = []
            for number in range(count):
                pid = os.fork()
                if pid == 0:
                    code = 1
                    try: body(number); code = 0
                    finally: os._exit(code)
                pids.append(pid)
            for pid in pids: assert os.waitpid(pid, 0)[1] == 0
        def become(uid, body, groups=()):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    os.setgroups(list(groups)); os.setresgid(uid, uid, uid)
                    os.setresuid(uid, uid, uid); body(); code = 0
                finally: os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0
        def long(number): return ctypes.c_long(number)
        KEEP, PUNCH, COLLAPSE, ZERO, INSERT, UNSHARE = 1, 2, 8, 0x10, 0x20, 0x40
        def fallocate(fd, mode, at, count):
            return c('fallocate', fd, mode, long(at), long(count))
        def rename2(old, new, flags):
            return c('renameat2', -100, old.encode(), -100, new.encode(), flags)
        USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER, NOBODY = 1, 2, 4, 8, 16, 32, 0xFFFFFFFF
        def acl(*entries):
            return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)
        def mefs(*words):
            socket = os.getxattr('.', 'user.mefs.control')
            subprocess.run([os.readlink(f'/proc/{mount_process}/exe').replace('mount.mefs', 'mefs'),
                            *words, '.'], check=True, stdout=subprocess.DEVNULL)
        def place():
            mefs('sync')
        def drop():
            mefs('sync'); mefs('cache', 'drop')

        """
}
