import Control
import Disk
import Glibc
import Testing

/// `mefs key` and mounting with a locked key: the real programs.
@Suite(.enabled(if: Machine.canMount), .serialized)
struct KeyProgramTests {
    private static let passphrase = "a secret of eleven words"

    /// Types at a terminal of its own: the prompts and what was answered to them.
    private static let type = """
        import os, pty, select, sys, time
        answers = sys.argv[1].split('|'); command = sys.argv[2:]
        pid, terminal = pty.fork()
        if pid == 0: os.execvp(command[0], command)
        shown = b''
        end = time.monotonic() + 200
        while time.monotonic() < end:
            ready, _, _ = select.select([terminal], [], [], 1)
            if not ready: continue
            try: part = os.read(terminal, 4096)
            except OSError: break
            if not part: break
            shown += part
            if answers and shown.endswith(b': '):
                os.write(terminal, answers.pop(0).encode().decode('unicode_escape').encode())
        print(shown.decode(), end='')
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """

    /// The volume "home", made by a first mount, its phrase taken away.
    private func withVolume(_ body: (MountedVolume, String) throws -> Void) throws {
        try MountedVolume.with { volume in
            try volume.mount()
            #expect(try volume.unmount().code == 0)
            try WholeFile.remove(volume.home + "/volumes/home/phrase")
            let file = volume.root + "/passphrase"
            try WholeFile.create(file, with: Array("\(Self.passphrase)\n".utf8))
            try body(volume, file)
        }
    }

    private func lock(_ volume: MountedVolume, _ file: String) throws {
        let ended = try volume.mefs([
            "key", "lock", "home", "--passphrase-file", file, "--strength", "interactive",
        ])
        #expect(ended.code == 0, "\(ended.output)")
    }

    @Test func lockedVolumeIsMountedWithItsPassphraseOnly() throws {
        try withVolume { volume, file in
            try lock(volume, file)
            let status = try volume.mefs(["key", "status", "home", "--json"])
            #expect(status.output.contains(#""seed" : "locked""#), "\(status.output)")
            #expect(status.output.contains(#""argon2idMemoryBytes" : 67108864"#))

            // In a session without a terminal, so that nobody is asked.
            let without = try volume.run(
                "/usr/bin/env",
                ["setsid", "-w", Machine.programs + "/mount.mefs", volume.mountPoint]
            )
            #expect(without.code == ExitCode.wrongSecret.rawValue, "\(without.output)")
            #expect(without.output.contains("is locked"))

            let other = volume.root + "/other"
            try WholeFile.create(other, with: Array("not it".utf8))
            let wrong = try volume.tryMount([volume.mountPoint, "-o", "passphrase-file=\(other)"])
            #expect(wrong.code == ExitCode.wrongSecret.rawValue, "\(wrong.output)")
            #expect(wrong.output.contains("wrong passphrase"))

            try volume.mount(["-o", "passphrase-file=\(file)"])
            #expect(try volume.unmount().code == 0)

            let unlocked = try volume.mefs(["key", "unlock", "home", "--passphrase-file", file])
            #expect(unlocked.code == 0, "\(unlocked.output)")
            try volume.mount()
            #expect(try volume.unmount().code == 0)
        }
    }

    @Test func sharesOfALockedKeyBringItBack() throws {
        try withVolume { volume, file in
            try lock(volume, file)
            let folder = volume.root + "/shares"
            let split = try volume.mefs([
                "key", "split", "home", "-k", "2", "-n", "3", "-o", folder, "--passphrase-file",
                file,
            ])
            #expect(split.code == 0, "\(split.output)")
            var status = stat()
            #expect(stat(folder + "/share-2", &status) == 0 && status.st_mode & 0o777 == 0o600)
            let again = try volume.mefs([
                "key", "split", "home", "-o", folder, "--passphrase-file", file,
            ])
            #expect(again.code == ExitCode.already.rawValue, "\(again.output)")

            let paths = (1...3).map { "\(folder)/share-\($0)" }
            let few = try volume.mefs(["key", "combine", "--volume", "home", paths[1]])
            #expect(few.code == ExitCode.wrongSecret.rawValue, "\(few.output)")
            // The passphrase is forgotten, the shares are there.
            try WholeFile.remove(file)
            let combined = try volume.mefs([
                "key", "combine", paths[2], paths[0], "--volume", "home", "--keep", "--phrase-out",
                volume.root + "/phrase",
            ])
            #expect(combined.code == 0, "\(combined.output)")
            try volume.mount(["-o", "phrase-file=\(volume.root)/phrase"])
            #expect(try volume.unmount().code == 0)
            try volume.mount()
            #expect(try volume.unmount().code == 0)

            let text = String(decoding: try WholeFile.read(paths[0]), as: UTF8.self)
            let words = text.split(separator: "\n").dropFirst().joined(separator: " ")
            let swapped = words.split(separator: " ").reversed().joined(separator: " ")
            try WholeFile.replace(paths[0], with: Array(swapped.utf8))
            let damaged = try volume.mefs(["key", "combine", paths[0], paths[1]])
            #expect(damaged.code == ExitCode.wrongSecret.rawValue, "\(damaged.output)")
            #expect(damaged.output.contains("share-1"), "\(damaged.output)")
        }
    }

    @Test func passphraseComesFromStandardInputOrTheTerminal() throws {
        try withVolume { volume, file in
            let mefs = Machine.programs + "/mefs"
            let mount = Machine.programs + "/mount.mefs"
            let type = volume.root + "/type.py"
            try WholeFile.create(type, with: Array(Self.type.utf8))
            let cost = ["--strength", "interactive"]

            let differ = try volume.run(
                "/usr/bin/env",
                ["python3", type, "one\\n|two\\n", mefs, "key", "lock", "home"] + cost
            )
            #expect(differ.code == ExitCode.usage.rawValue, "\(differ.output)")
            let given = try volume.run(
                "/usr/bin/env",
                ["python3", type, "\\x03", mefs, "key", "lock", "home"] + cost
            )
            #expect(given.code == ExitCode.usage.rawValue, "\(given.output)")

            let line = Self.passphrase + "\\n"
            let locked = try volume.run(
                "/usr/bin/env",
                ["python3", type, "\(line)|\(line)", mefs, "key", "lock", "home"] + cost
            )
            #expect(locked.code == 0, "\(locked.output)")
            #expect(locked.output.contains("New passphrase of volume 'home': "))
            #expect(!locked.output.contains("eleven"), "the terminal has shown it")

            let mounted = try volume.run(
                "/usr/bin/env",
                ["python3", type, line, mount, volume.mountPoint] + Machine.mountOptions
            )
            #expect(mounted.code == 0, "\(mounted.output)")
            #expect(!mounted.output.contains("eleven"))
            #expect(try volume.unmount().code == 0)

            let shell = #"exec "$0" "$1" -o passphrase-file=- <"$2""#
            let piped = try volume.run("/bin/sh", ["-c", shell, mount, volume.mountPoint, file])
            #expect(piped.code == 0, "\(piped.output)")
            #expect(try volume.unmount().code == 0)
        }
    }
}
