import Control
import Disk
import Glibc
import Home
import Primitives
import Sealing
import Testing

/// Where secrets of a mounted volume must not be found: `docs/keys.md`.
@Suite(.enabled(if: Machine.canMount), .serialized)
struct SecrecyTests {
    private static let passphrase = "a secret of eleven words"

    /// Prints each place in which one of the secrets of the first file is found: arguments,
    /// environment and logs of all processes of a home, and the files named.
    private static let search = """
        import glob, mmap, os, sys
        secrets = [bytes.fromhex(line) for line in open(sys.argv[1])]
        home = sys.argv[2].encode()
        places = sys.argv[3:] + glob.glob(sys.argv[2] + '/**/*.log', recursive=True)
        processes = 0
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                program = os.path.basename(os.readlink(f'/proc/{pid}/exe'))
                if program not in ('mefs', 'mount.mefs'): continue
                if home not in open(f'/proc/{pid}/environ', 'rb').read(): continue
            except OSError: continue
            processes += 1
            places += [f'/proc/{pid}/cmdline', f'/proc/{pid}/environ']
            limits = open(f'/proc/{pid}/limits').read()
            line = next(l for l in limits.splitlines() if l.startswith('Max core file size'))
            assert line.split()[4:6] == ['0', '0'], line
        assert processes == 8, processes
        for place in places:
            content = open(place, 'rb').read()
            for index, secret in enumerate(secrets):
                if secret in content: print(index, place)
        """

    /// Ends a mount in the foreground by a signal that dumps core, and tells whether it did.
    private static let crash = """
        import os, resource, signal, subprocess, sys, time
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        # Swift's own report of a crash, for whoever wants it, is not what is looked at.
        quiet = dict(os.environ, SWIFT_BACKTRACE='enable=no')
        mount = subprocess.Popen(sys.argv[2:], env=quiet)
        end = time.monotonic() + 100
        while not os.path.ismount(sys.argv[1]) and time.monotonic() < end: time.sleep(0.05)
        assert os.path.ismount(sys.argv[1])
        mount.send_signal(signal.SIGSEGV)
        _, status = os.waitpid(mount.pid, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV, status
        print('core' if os.WCOREDUMP(status) else 'no core')
        """

    /// Has a user look at the memory of a keeper of their own, before and after it has begun.
    private static let look = """
        import os, subprocess, sys, time
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        def readable(pid):
            try:
                open(f'/proc/{pid}/mem', 'rb').close()
                return True
            except PermissionError: return False
        other = subprocess.Popen(['sleep', '60'])
        if not readable(other.pid):
            # Yama hides every process here.
            print('hidden')
            sys.exit()
        other.kill()
        keeper = subprocess.Popen(
            [sys.argv[1], 'keeper', 'run', '--state', sys.argv[2], '--listen', '127.0.0.1:0'],
            stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not os.path.exists(sys.argv[2] + '/identity') and time.monotonic() < end:
            time.sleep(0.05)
        assert os.path.exists(sys.argv[2] + '/identity') and keeper.poll() is None
        print('readable' if readable(keeper.pid) else 'hidden')
        keeper.kill()
        """

    private struct Secrets {
        let seed: RootSeed
        let key: VolumeKey
        let phrase: String
    }

    /// The volume "home" with a locked key, and its secrets.
    private func withLockedVolume(
        _ body: (MountedVolume, _ passphraseFile: String, Secrets) throws -> Void
    ) throws {
        try MountedVolume.with { volume in
            try volume.mount()
            #expect(try volume.unmount().code == 0)
            let directory = try VolumeDirectory.open("home", in: Home(path: volume.home))
            let secrets = Secrets(
                seed: try directory.ownerSeed(),
                key: try directory.unlock().key,
                phrase: String(
                    decoding: try WholeFile.read(directory.phrasePath).dropLast(),
                    as: UTF8.self
                )
            )
            try WholeFile.remove(directory.phrasePath)
            let file = volume.root + "/passphrase"
            try WholeFile.create(file, with: Array("\(Self.passphrase)\n".utf8))
            let passphrase = try #require(Passphrase(bytes: Self.passphrase.utf8))
            try directory.lockSeed(under: passphrase, cost: .interactive)
            try body(volume, file, secrets)
        }
    }

    /// Of the phrase any four words in a row.
    private func spellings(of secrets: Secrets) -> [[UInt8]] {
        let words = secrets.phrase.split(separator: " ")
        let parts = (0...words.count - 4).map { words[$0..<$0 + 4].joined(separator: " ") }
        return [
            Array(Self.passphrase.utf8), secrets.seed.bytes,
            Array(Hex.encode(secrets.seed.bytes).utf8), Array(Hex.encode(secrets.key.bytes).utf8),
        ] + parts.map { Array($0.utf8) }
    }

    private func found(
        _ secrets: [[UInt8]],
        in places: [String],
        of volume: MountedVolume
    ) throws -> String {
        let file = volume.root + "/secrets"
        let lines = secrets.map { Hex.encode($0) }.joined(separator: "\n")
        try WholeFile.replace(file, with: Array(lines.utf8), permissions: 0o600)
        defer { try? WholeFile.remove(file) }
        let ended = try volume.python(Self.search, in: volume.root, [file, volume.home] + places)
        #expect(ended.code == 0, "\(ended.output)")
        return ended.output
    }

    @Test func secretsAreNotInArgumentsEnvironmentOrLogs() throws {
        try withLockedVolume { volume, file, secrets in
            try volume.mount(["-o", "passphrase-file=\(file)"])
            let raw = [secrets.key.bytes, secrets.key.repairKey.bytes]
            #expect(try found(spellings(of: secrets) + raw, in: [], of: volume) == "")
            // That the search can find: what is in every environment.
            let known = Array("MEFS_HOME=".utf8)
            #expect(try found([known], in: [], of: volume).contains("environ"))
            #expect(try volume.unmount().code == 0)
        }
    }

    /// The volume's key is needed all the time, and the superuser can read it; what opens more than
    /// this volume is not there any more.
    @Test(.enabled(if: WholeFile.exists("/usr/bin/gcore")))
    func seedAndPassphraseAreNotInTheMemoryOfAMount() throws {
        try withLockedVolume { volume, file, secrets in
            try volume.mount(["-o", "passphrase-file=\(file)"])
            let dump = volume.root + "/dump"
            let pid = try volume.processID()
            let dumped = try volume.run("/usr/bin/gcore", ["-o", dump, "\(pid)"])
            #expect(dumped.code == 0, "\(dumped.output)")
            let core = "\(dump).\(pid)"
            #expect(try found(spellings(of: secrets), in: [core], of: volume) == "")
            // That the search can find, and why a mounted volume is to be kept from others.
            #expect(try found([secrets.key.bytes], in: [core], of: volume).contains("dump"))
            #expect(try volume.unmount().code == 0)
        }
    }

    @Test func otherProcessesOfTheUserCannotReadTheMemoryOfADaemon() throws {
        try MountedVolume.with { volume in
            let state = volume.root + "/state"
            try Directory.make(state)
            // Where the user may run it from.
            let program = volume.root + "/bin/mefs"
            let bytes = try WholeFile.read(Machine.programs + "/mefs", limit: 1 << 30)
            try WholeFile.create(program, with: bytes, permissions: 0o755)
            #expect(chown(state, 65534, 65534) == 0)
            #expect(chmod(volume.root + "/bin", 0o755) == 0)
            let ended = try volume.python(Self.look, in: "/", [program, state + "/keeper"])
            #expect(ended.code == 0 && ended.output == "hidden\n", "\(ended.output)")
        }
    }

    @Test func aCrashLeavesNoCore() throws {
        try withLockedVolume { volume, file, _ in
            let mount = Machine.programs + "/mount.mefs"
            let ended = try volume.python(
                Self.crash,
                in: volume.root,
                [
                    volume.mountPoint, mount, "-f", volume.mountPoint, "-o",
                    "passphrase-file=\(file)",
                ]
            )
            #expect(ended.code == 0 && ended.output.hasSuffix("no core\n"), "\(ended.output)")
            #expect(!WholeFile.exists(volume.root + "/core"))
        }
    }
}
