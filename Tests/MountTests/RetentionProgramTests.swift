import Control
import Disk
import Network
import Testing
import Transport

/// Locked snapshots on a real mount, against someone who has its credentials.
@Suite(.enabled(if: Machine.canMount), .serialized)
struct RetentionProgramTests {
    private func python(
        _ text: String,
        in volume: MountedVolume,
        _ folder: String
    ) throws -> String {
        let ended = try volume.python(Program.prelude + text, in: folder)
        #expect(ended.code == 0, "\(ended.output)")
        return ended.output
    }

    /// Sixty files, small and large, each with the digest of what it holds.
    private static let digests = """
        import hashlib
        for i in range(60): print(i, hashlib.sha256(read(f'd/{i}')).hexdigest())
        """

    /// Makes a snapshot and waits until nobody can undo it.
    private func lockedSnapshot(
        of volume: MountedVolume,
        _ client: ControlClient
    ) throws -> SnapshotRecord {
        let made = try volume.mefs(
            ["snapshot", "create", volume.mountPoint, "--name", "safe", "--lock", "1h"]
        )
        #expect(made.code == 0, "\(made.output)")
        for _ in 0..<1800 {
            let snapshot = try client.snapshots().first { $0.name == "safe" }
            if let snapshot, snapshot.lockedShare == 1 { return snapshot }
            Clock.sleep(for: .milliseconds(100))
        }
        return try #require(nil, "the snapshot is not locked: \(volume.log)")
    }

    @Test func aLockedSnapshotComesBackAfterAnAttackWithTheOwnersKey() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            let write = """
                os.mkdir('d')
                for i in range(60): write(f'd/{i}', random.Random(i).randbytes(1 + i * i * 300))
                """
            _ = try python(write, in: volume, volume.mountPoint)
            let before = try python(Self.digests, in: volume, volume.mountPoint)
            let client = try ControlClient(path: volume.socket)
            let snapshot = try lockedSnapshot(of: volume, client)
            let listed = try volume.mefs(["snapshot", "list", volume.mountPoint])
            #expect(listed.output.contains("until \(snapshot.lockedUntil ?? "-")"))
            // What comes after the snapshot is not locked.
            _ = try python(
                "for i in range(60): write(f'd/{i}', random.Random(-i).randbytes(90_000))",
                in: volume,
                volume.mountPoint
            )
            try client.sync()

            let refused = try volume.mefs(["snapshot", "delete", volume.mountPoint, "safe"])
            #expect(refused.code != 0 && refused.output.contains("is locked until"))
            let attacker = try Attacker(volume)
            defer { attacker.close() }
            let damage = try attacker.deleteAllShards()
            #expect(damage.refused > 0 && damage.deleted > 0, "\(damage)")
            #expect(try attacker.registerEmptyHead().isByMajority)
            #expect(try attacker.shred() == .retained)
            try attacker.replaceKey()

            try expectRecovery(of: snapshot, from: volume, before)
        }
    }

    /// Recovers the snapshot in an empty home with the phrase, and compares all files.
    private func expectRecovery(
        of snapshot: SnapshotRecord,
        from volume: MountedVolume,
        _ expected: String
    ) throws {
        let home = volume.root + "/other"
        let mountPoint = volume.root + "/then"
        try Directory.make(home)
        try Directory.make(mountPoint)
        func run(_ program: String, _ arguments: [String]) throws -> MountedVolume.Ended {
            try volume.run("/usr/bin/env", ["MEFS_HOME=\(home)", program] + arguments)
        }
        let recover = [
            "recover", "--phrase-file", volume.home + "/volumes/home/phrase",
            "--network", volume.home + "/networks/local/network.json",
        ]
        // The newest head is the attacker's, and so is the key.
        #expect(try run(Machine.programs + "/mefs", recover + ["lost"]).code != 0)
        let list = try run(Machine.programs + "/mefs", recover + ["--list"])
        #expect(list.code == 0 && list.output.contains(snapshot.time), "\(list.output)")
        let head = try run(
            Machine.programs + "/mefs",
            recover + ["then", "--head", "\(snapshot.version)"]
        )
        #expect(head.code == 0, "\(head.output)")

        let mount = Machine.programs + "/mount.mefs"
        let writable = try run(mount, ["then", mountPoint])
        #expect(writable.code == ExitCode.usage.rawValue, "\(writable.output)")
        let mounted = try run(mount, ["-o", "ro", "then", mountPoint] + Machine.mountOptions)
        #expect(mounted.code == 0, "\(mounted.output)")
        let after = try python(Self.digests, in: volume, mountPoint)
        #expect(after == expected)
        #expect(try run(volume.root + "/bin/umount.mefs", [mountPoint]).code == 0)
    }
}
