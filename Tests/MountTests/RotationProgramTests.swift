import Control
import Disk
import Glibc
import Testing

/// `mefs key rotate` on a volume with files that are placed: the real programs.
@Suite(.enabled(if: Machine.canMount), .serialized)
struct RotationProgramTests {
    private static let write =
        Program.prelude + """
            first, count = int(sys.argv[1]), int(sys.argv[2])
            for i in range(first, first + count): write(f'f{i}', random.Random(i).randbytes(3000))
            """
    private static let check =
        Program.prelude + """
            count = int(sys.argv[1])
            for i in range(count): assert read(f'f{i}') == random.Random(i).randbytes(3000), i
            """

    private func write(_ first: Int, _ count: Int, to volume: MountedVolume) throws {
        let ended = try volume.python(
            Self.write,
            in: volume.mountPoint,
            ["\(first)", "\(count)"]
        )
        #expect(ended.code == 0, "\(ended.output)")
        try ControlClient(path: volume.socket).sync()
    }

    /// Reads all files from the providers.
    private func check(_ count: Int, in volume: MountedVolume) throws {
        _ = try ControlClient(path: volume.socket).dropCache()
        let ended = try volume.python(Self.check, in: volume.mountPoint, ["\(count)"])
        #expect(ended.code == 0, "\(ended.output)")
    }

    private func rotate(_ volume: MountedVolume) throws -> String {
        let ended = try volume.mefs(["key", "rotate", "home", "--json"])
        #expect(ended.code == 0, "\(ended.output)")
        return ended.output
    }

    @Test func placedFilesAreReadAfterEveryRotation() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            try write(0, 60, to: volume)
            let mounted = try volume.mefs(["key", "rotate", "home"])
            #expect(mounted.code == ExitCode.already.rawValue, "\(mounted.output)")
            #expect(mounted.output.contains("unmount it first"), "\(mounted.output)")
            #expect(try volume.unmount().code == 0)

            let first = try rotate(volume)
            #expect(first.contains(#""generation" : 1"#) && first.contains(#""rewrapped" : 60"#))
            #expect(first.contains(#""isRegistered" : true"#), "\(first)")
            try volume.mount()
            try check(60, in: volume)
            try write(60, 60, to: volume)
            #expect(try volume.unmount().code == 0)

            let second = try rotate(volume)
            #expect(second.contains(#""generation" : 2"#) && second.contains(#""olderKeys" : 2"#))
            #expect(second.contains(#""rewrapped" : 120"#), "\(second)")
            let deep = try volume.mefs(["fsck", "--deep", "home"])
            #expect(deep.code == 0, "\(deep.output)")
            try volume.mount()
            try check(120, in: volume)
            #expect(try volume.unmount().code == 0)
        }
    }

    @Test func aShreddedVolumeIsGoneHereAndAtTheKeeper() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            try write(0, 5, to: volume)
            let mounted = try volume.mefs(["volume", "shred", "home", "--yes"])
            #expect(mounted.code == ExitCode.already.rawValue, "\(mounted.output)")
            #expect(try volume.unmount().code == 0)

            let unsure = try volume.mefs(["volume", "shred", "home"])
            #expect(unsure.code == ExitCode.usage.rawValue, "\(unsure.output)")
            #expect(unsure.output.contains("--yes"))

            let keys = try volume.python(
                "import json, sys; print(json.load(open(sys.argv[1]))['wrappedKey'])",
                in: volume.root,
                [volume.home + "/volumes/home/volume.json"]
            )
            let search = """
                import glob, sys
                wrap = bytes.fromhex(sys.argv[2])[13:]
                print([f for f in glob.glob(sys.argv[1] + '/**', recursive=True)
                       if __import__('os').path.isfile(f) and wrap in open(f, 'rb').read()])
                """
            let wrap = String(keys.output.dropLast())
            let before = try volume.python(search, in: volume.root, [volume.home, wrap])
            #expect(before.output.contains("keeper.db"), "\(before.output)")

            let shredded = try volume.mefs(["volume", "shred", "home", "--yes"])
            #expect(shredded.code == 0, "\(shredded.output)")
            #expect(!WholeFile.exists(volume.home + "/volumes/home"))
            let after = try volume.python(search, in: volume.root, [volume.home, wrap])
            #expect(after.output == "[]\n", "\(after.output)")

            // The next mount makes a new one of this name, on the same network.
            try volume.mount()
            #expect(try Directory.list(volume.mountPoint).isEmpty)
            #expect(try volume.unmount().code == 0)
        }
    }

    /// Killed at any instant, the volume opens, and the next rotation finishes what was begun.
    @Test func aKilledRotationLosesNothing() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            try write(0, 1500, to: volume)
            #expect(try volume.unmount().code == 0)
            var cut = 0
            for delay in stride(from: 10, through: 170, by: 16) {
                let child = try ChildProcess(
                    "/usr/bin/env",
                    [
                        "MEFS_HOME=\(volume.home)", Machine.programs + "/mefs", "key", "rotate",
                        "home",
                    ],
                    output: .file(volume.root + "/rotation")
                )
                if child.wait(for: .milliseconds(delay)) == nil {
                    cut += 1
                    child.signal(SIGKILL)
                    _ = child.wait()
                }
                // The embedded network ends with who started it, and holds its ports until then.
                try volume.mount()
                let ended = try volume.python(Self.check, in: volume.mountPoint, ["1500"])
                #expect(ended.code == 0, "killed after \(delay) ms: \(ended.output)")
                #expect(try volume.unmount().code == 0)
            }
            #expect(cut > 5)
            _ = try rotate(volume)
            try volume.mount()
            try check(1500, in: volume)
            #expect(try volume.unmount().code == 0)
        }
    }
}
