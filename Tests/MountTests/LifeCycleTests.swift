import Control
import Disk
import Glibc
import Mount
import Testing

@Suite(.enabled(if: Machine.canMount), .serialized)
struct LifeCycleTests {
    private static let write =
        Program.prelude + """
            data = random.Random(sys.argv[2]).randbytes(int(sys.argv[3]))
            fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); os.write(fd, data); os.fsync(fd)
            """
    private static let check =
        Program.prelude + """
            expected = random.Random(sys.argv[2]).randbytes(int(sys.argv[3]))
            assert open(sys.argv[1], 'rb').read() == expected
            """

    /// 64 MiB are more requests than the kernel sends at once: it sends the file's times before the
    /// last bytes.
    private static let writeAndSyncLater =
        Program.prelude + """
            fd = os.open('f', os.O_CREAT | os.O_WRONLY); os.write(fd, os.urandom(64 << 20))
            print(os.fstat(fd).st_mtime_ns)
            time.sleep(1.1)
            c('syncfs', fd)
            """
    private static let tellTime = Program.prelude + "print(os.stat('f').st_mtime_ns)"

    private func write(_ name: String, bytes: Int, to volume: MountedVolume) throws {
        let ended = try volume.python(Self.write, in: volume.mountPoint, [name, name, "\(bytes)"])
        #expect(ended.code == 0, "\(ended.output)")
    }

    private func check(_ name: String, bytes: Int, in volume: MountedVolume) throws {
        let ended = try volume.python(Self.check, in: volume.mountPoint, [name, name, "\(bytes)"])
        #expect(ended.code == 0, "\(name) is not what was written: \(ended.output)")
    }

    @Test func theMountIsWhatTheTableOfMountsSays() throws {
        try MountedVolume.with { volume in
            try volume.mount(["-o", "noatime"])
            let entry = try #require(try MountTable.current().top(at: volume.mountPoint))
            #expect(entry.type == "fuse.mefs")
            #expect(entry.source == "mefs:home")
            let status = try ControlClient(mountHolding: volume.mountPoint).status()
            #expect(status.volume == "home")
            #expect(status.mountpoint == volume.mountPoint)
            #expect(status.state == .mounted)
            #expect(status.providersUp == 6)
            #expect(try volume.unmount().code == 0)
            #expect(try MountTable.current().top(at: volume.mountPoint) == nil)
            // The helper has waited for the mount process, which holds the lock to its end.
            #expect(FileLock.holder(of: volume.home + "/volumes/home/lock") == nil)
        }
    }

    @Test func aFileKeepsTheTimeOfItsWritingThroughANewMount() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            let written = try volume.python(Self.writeAndSyncLater, in: volume.mountPoint)
            #expect(written.code == 0)
            #expect(try volume.unmount().code == 0)
            try volume.mount()
            let found = try volume.python(Self.tellTime, in: volume.mountPoint)
            #expect(found.output == written.output)
        }
    }

    @Test func aMountedVolumeIsAuditedAndDelegated() throws {
        try MountedVolume.with { volume in
            try volume.mount(["-o", "epoch=2,audit-leaves=4,repair-wait=5,repair-rate=8M"])
            try write("f", bytes: 1_000_000, to: volume)
            let client = try ControlClient(mountHolding: volume.mountPoint)
            try client.sync()
            let results = try client.auditNow(leaves: 16)
            #expect(results.count == 6)
            #expect(
                results.allSatisfy { $0.verdict == "ok" && $0.leaves == 16 && $0.bytes > 16_384 }
            )
            let file = volume.mountPoint + "/f"
            var state = PlacementState.local
            // Hundreds of times what it takes alone: all tests share the machine.
            for _ in 0..<6000 where !state.isProved {
                state = try MountLocator.state(of: file)
                Clock.sleep(for: .milliseconds(50))
            }
            #expect(state.isProved, "\(state)")
            var status = try client.status()
            for _ in 0..<6000 where status.delegatedTo.isEmpty || status.lastProof == nil {
                status = try client.status()
                Clock.sleep(for: .milliseconds(50))
            }
            #expect(status.delegatedTo.count == 1)
            #expect(status.lastProof != nil)
            #expect(status.epochSeconds == 2)
            // One of the file, and those of the volume's head.
            #expect(status.providers.allSatisfy { $0.lastVerdict == "ok" && $0.shards >= 1 })
            #expect(status.worstStripes.allSatisfy { $0.healthy == 6 && $0.n == 6 })
            let id = try #require(status.providers.first?.id)
            let receipts = try client.auditLog(limit: 100, provider: String(id.prefix(12)))
            #expect(!receipts.isEmpty && receipts.allSatisfy { $0.provider == id })
            let files = try client.auditExport()
            #expect(files.count == 6)
            for (index, file) in files.enumerated() {
                let path = volume.root + "/receipts-\(index).json"
                try WholeFile.create(path, with: Array(file.json.utf8))
                let verified = try volume.mefs(["audit", "verify", path])
                #expect(verified.code == 0, "\(verified.output)")
            }
            #expect(try volume.unmount().code == 0)
        }
    }

    @Test func whatWasWrittenIsThereAtTheNextMount() throws {
        try MountedVolume.with { volume in
            for round in 0..<3 {
                try volume.mount()
                for old in 0..<round { try check("f\(old)", bytes: 3_000_000, in: volume) }
                try write("f\(round)", bytes: 3_000_000, to: volume)
                #expect(try volume.unmount().code == 0)
            }
        }
    }

    @Test func afterDroppingTheCacheFilesComeFromTheProviders() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            try write("f", bytes: 9_000_000, to: volume)
            let client = try ControlClient(path: volume.socket)
            var last: SyncProgress?
            try client.sync { last = $0 }
            #expect(last?.remainingBytes == 0)
            #expect(try MountLocator.state(of: volume.mountPoint + "/f") == .placed)
            #expect(try client.dropCache() >= 9_000_000)
            let before = try client.status().downloadedBytesTotal
            try check("f", bytes: 9_000_000, in: volume)
            #expect(try client.status().downloadedBytesTotal >= before + 9_000_000)
        }
    }

    @Test func whatWasSyncedSurvivesAKilledMountProcess() throws {
        try MountedVolume.with { volume in
            for round in 0..<4 {
                try volume.mount()
                for old in 0..<round { try check("f\(old)", bytes: 2_500_000, in: volume) }
                try write("f\(round)", bytes: 2_500_000, to: volume)
                try volume.kill9()
                // The dead mount stays in the table; the next one takes its place.
                #expect(try MountTable.current().top(at: volume.mountPoint) != nil)
            }
        }
    }

    @Test func aBusyMountIsNotTakenAway() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            let busy = try Descriptor(opening: volume.mountPoint, .readOnly, .directory)
            let ended = try volume.unmount()
            #expect(ended.code == ExitCode.failed.rawValue)
            #expect(ended.output.contains("in use"))
            try write("f", bytes: 1000, to: volume)
            withExtendedLifetime(busy) {}
        }
    }

    @Test func aSignalUnmountsAndKeepsWhatWasWritten() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            // Not synced: it is with the kernel only when the signal comes.
            let file = try Descriptor(
                opening: volume.mountPoint + "/f",
                .readWrite,
                .create,
                permissions: 0o600
            )
            try file.write(at: 0, Array(repeating: 7, count: 200_000))
            let pid = try volume.processID()
            kill(pid, SIGTERM)
            volume.waitForEnd(of: pid)
            #expect(try MountTable.current().top(at: volume.mountPoint) == nil)
            #expect(volume.log.contains("everything is placed"))
            try volume.mount()
            let again = try Descriptor(opening: volume.mountPoint + "/f")
            #expect(try again.read(at: 0, count: 300_000) == Array(repeating: 7, count: 200_000))
        }
    }

    @Test func aLazyUnmountLetsOpenFilesFinish() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            let pid = try volume.processID()
            var file: Descriptor? = try Descriptor(
                opening: volume.mountPoint + "/f",
                .readWrite,
                .create,
                permissions: 0o600
            )
            #expect(try volume.unmount(["-l"]).code == 0)
            try file?.write(at: 0, Array(repeating: 9, count: 100_000))
            #expect(try file?.read(at: 0, count: 5) == [9, 9, 9, 9, 9])
            #expect(kill(pid, 0) == 0)
            file = nil
            volume.waitForEnd(of: pid)
            try volume.mount()
            let again = try Descriptor(opening: volume.mountPoint + "/f")
            #expect(try again.size() == 100_000)
        }
    }

    @Test func drainingGoesOnAfterAPlainUnmountAndHoldsTheVolume() throws {
        try MountedVolume.with { volume in
            // Nothing is uploaded before the unmount.
            try volume.mount(["-o", "dirty-age=3600"])
            try write("f", bytes: 40_000_000, to: volume)
            let client = try ControlClient(path: volume.socket)
            let pid = try client.status().pid
            #expect(umount2(volume.mountPoint, 0) == 0)
            let refused = try volume.tryMount([volume.mountPoint])
            // Should placing be over already, there is nothing to refuse.
            if refused.code != 0 {
                #expect(refused.code == ExitCode.already.rawValue, "\(refused.output)")
                volume.waitForEnd(of: pid)
                try volume.mount()
            }
            #expect(volume.log.contains("everything is placed"))
            #expect(try MountLocator.state(of: volume.mountPoint + "/f") == .placed)
        }
    }

    @Test func aDrainThatMustFailsIfSomethingRemains() throws {
        try MountedVolume.with { volume in
            try volume.mount(["-o", "dirty-age=3600"])
            try write("f", bytes: 30_000_000, to: volume)
            let ended = try volume.unmount(["-o", "drain=0"])
            #expect(ended.code == ExitCode.incomplete.rawValue, "\(ended.output)")
            #expect(ended.output.contains("only on this machine"))
            try volume.mount()
            try check("f", bytes: 30_000_000, in: volume)
        }
    }

    @Test func aReadOnlyMountRefusesWrites() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            try write("f", bytes: 1000, to: volume)
            #expect(try volume.unmount().code == 0)
            try volume.mount(["-o", "ro"])
            try check("f", bytes: 1000, in: volume)
            let error = #expect(throws: DiskError.self) {
                try Descriptor(opening: volume.mountPoint + "/f", .writeOnly)
            }
            #expect(error?.errno == EROFS)
        }
    }

    @Test func whatCannotBeMountedIsSaidInOneLine() throws {
        try MountedVolume.with { volume in
            try WholeFile.create(volume.plain + "/file", with: [])
            let cases: [([String], ExitCode)] = [
                (["\(volume.root)/missing"], .notFound),
                ([volume.plain + "/file"], .usage),
                ([volume.plain], .usage),
                (["/proc"], .already),
                (["nosuch", volume.mountPoint], .notFound),
                ([volume.mountPoint, "-o", "bogus"], .usage),
                (["no/name", volume.mountPoint], .usage),
            ]
            for (arguments, code) in cases {
                let ended = try volume.tryMount(arguments)
                #expect(ended.code == code.rawValue, "\(arguments): \(ended.output)")
                #expect(ended.output.hasPrefix("mount.mefs: "))
                #expect(ended.output.split(separator: "\n").count == 1)
            }
            try volume.mount()
            let twice = try volume.tryMount([volume.mountPoint])
            #expect(twice.code == ExitCode.already.rawValue)
            try Directory.make(volume.root + "/second")
            let elsewhere = try volume.tryMount(["home", volume.root + "/second"])
            #expect(elsewhere.code == ExitCode.already.rawValue)
            #expect(elsewhere.output.contains(volume.mountPoint))
            let nothing = try volume.run(volume.root + "/bin/umount.mefs", [volume.plain])
            #expect(nothing.code == ExitCode.notFound.rawValue)
        }
    }
}
