import Control
import Disk
import Testing

/// `mefs recover --drill` on a real mount.
@Suite(.enabled(if: Machine.canMount), .serialized)
struct DrillProgramTests {
    private func drill(_ volume: MountedVolume, _ arguments: [String]) throws -> String {
        let ended = try volume.mefs(["recover", "--drill"] + arguments)
        #expect(ended.code == 0, "\(ended.output)")
        // Nothing stays but the lock.
        #expect(try Directory.list(volume.home + "/drills") == ["home.lock"])
        return ended.output
    }

    @Test func aDrillProvesAVolumeMountedAndNot() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            let write =
                Program.prelude + """
                    os.makedirs('d/e')
                    for i in range(40): write(f'd/e/{i}', random.Random(i).randbytes(i * 20_000))
                    """
            let written = try volume.python(write, in: volume.mountPoint)
            #expect(written.code == 0, "\(written.output)")
            try ControlClient(path: volume.socket).sync()
            let mounted = try drill(volume, [volume.mountPoint, "--json"])
            #expect(mounted.contains(#""comesBack" : true"#), "\(mounted)")
            #expect(mounted.contains(#""equal" : 40"#), "\(mounted)")
            #expect(mounted.contains(#""changedSince" : 0"#), "\(mounted)")
            let lock = try FileLock(volume.home + "/drills/home.lock")
            let second = try volume.mefs(["recover", "--drill", "home"])
            #expect(second.code == ExitCode.already.rawValue, "\(second.output)")
            lock.release()
            // The mount goes on.
            #expect(try ControlClient(path: volume.socket).status().state == .mounted)

            #expect(try volume.unmount().code == 0)
            let phrase = volume.home + "/volumes/home/phrase"
            let alone = try drill(volume, ["home", "--sample", "7", "--phrase-file", phrase])
            #expect(alone.contains("read, not compared  7"), "\(alone)")
        }
    }

    @Test func aDrillWithTooFewProvidersFails() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            let write = Program.prelude + "write('a', random.Random(1).randbytes(500_000))"
            #expect(try volume.python(write, in: volume.mountPoint).code == 0)
            try ControlClient(path: volume.socket).sync()
            // Three of six forget what they hold; the mount has it all in its cache.
            for number in 1...3 {
                let store = "\(volume.home)/networks/local/provider-\(number)"
                let erase =
                    Program.prelude + """
                        for folder, _, names in os.walk(sys.argv[1]):
                            for name in names:
                                path = os.path.join(folder, name)
                                if os.path.getsize(path) > 4096:
                                    with open(path, 'r+b') as file:
                                        file.write(bytes(os.path.getsize(path)))
                        """
                #expect(try volume.python(erase, in: volume.plain, [store]).code == 0)
            }
            let ended = try volume.mefs(["recover", "--drill", volume.mountPoint])
            let codes = [ExitCode.unreachable.rawValue, ExitCode.corrupt.rawValue]
            #expect(codes.contains(ended.code), "\(ended.code): \(ended.output)")
        }
    }
}
