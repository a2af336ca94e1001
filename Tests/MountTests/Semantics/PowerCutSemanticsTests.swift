import Disk
import Glibc
import Testing

/// What a volume holds after the power of its host was cut: the disk of the whole home, providers
/// included, as it was at one moment, without anything that was only in memory.
@Suite(
    .enabled(if: Machine.canMount && SmallDisk.canLoop),
    .serialized,
    .mounted(prepare: PowerCut.prepare)
)
struct PowerCutSemanticsTests {
    @Test("host-1") func whateverWasAcknowledgedAsSyncedIsThere() throws {
        try PowerCut.finds(
            """
            assert read('deep/er/synced') == bytes_of(2_500_000)
            assert os.getxattr('deep/er/synced', 'user.a') == b'1'
            assert read('data') == bytes_of(300_000, 2) and read('dsync') == bytes_of(300_000, 3)
            assert read('mapped')[5000:5005] == b'mmapd'
            assert read('moved') == b'named' and os.listdir('names') == []
            """
        )
    }

    @Test("host-2") func whatWasPlacedIsThere() throws {
        try PowerCut.finds("assert read('placed') == bytes_of(2_500_000, 4)")
    }

    @Test("host-3") func aFileReplacedByRenameIsOldOrNewAndWhole() throws {
        try PowerCut.finds("assert read('replaced') in (b'old' * 100_000, b'new' * 100_000)")
    }

    @Test("host-4") func whatWasNotSyncedIsOldOrNewOrMissingAndNothingElse() throws {
        try PowerCut.finds(
            """
            data = read('changed'); old = bytes_of(2_500_000, 5)
            assert len(data) == 2_500_000 and data[:1_000_000] == old[:1_000_000]
            assert data[1_000_004:] == old[1_000_004:]
            assert data[1_000_000:1_000_004] in (old[1_000_000:1_000_004], b'late')
            if os.path.exists('fresh'): assert set(read('fresh')) <= set(b'f\\0')
            """
        )
    }
}

/// A cut of power, on an ext4 in a file.
enum PowerCut {
    static let prepare: @Sendable (MountedVolume) throws -> @Sendable () -> Void = { volume in
        let disk = volume.root + "/disk"
        try Directory.make(volume.home)
        try volume.ends(0, "/bin/truncate", ["-s", "2G", disk])
        try volume.ends(0, "/sbin/mkfs.ext4", ["-q", disk])
        // What programs do not sync stays in memory for five minutes.
        try volume.ends(0, "/bin/mount", ["-o", "loop,commit=300", disk, volume.home])
        try volume.mount(["-o", "epoch=3600,dirty-age=3600"])
        let before = try volume.python(
            Program.prelude + Program.promises + Self.before,
            in: volume.mountPoint,
            ["\(try volume.processID())", volume.root]
        )
        try #require(before.code == 0, "\(before.output)")
        let pids = try volume.daemons()
        try volume.ends(0, "/bin/cp", ["--sparse=always", disk, disk + ".cut"])
        for pid in pids { kill(pid, SIGKILL) }
        for pid in pids { volume.waitForEnd(of: pid) }
        umount2(volume.mountPoint, Int32(MNT_DETACH))
        try volume.ends(0, "/bin/umount", [volume.home])
        try volume.ends(0, "/bin/mount", ["-o", "loop", disk + ".cut", volume.home])
        let home = volume.home
        // The host starts anew, which it would say itself.
        let booted = try volume.python(
            """
            import sqlite3, sys
            database = sqlite3.connect(sys.argv[1] + '/volumes/home/metadata/volume.db')
            database.execute("UPDATE meta SET value = 'another boot' WHERE key = 'boot_id'")
            database.commit()
            """,
            in: volume.root,
            [home]
        )
        try #require(booted.code == 0, "\(booted.output)")
        return { umount2(home, Int32(MNT_DETACH)) }
    }

    /// What a program did; at the end everything stops where it is.
    private static let before = """
        make('placed', bytes_of(2_500_000, 4)); changed = make('changed', bytes_of(2_500_000, 5))
        place()
        os.pwrite(changed, b'late', 1_000_000); os.close(changed)
        fd = make('fresh', b'f' * 2_500_000); os.close(fd)
        fd = make('replaced', b'old' * 100_000); os.fsync(fd); os.close(fd)
        write('replaced.new', b'new' * 100_000); os.rename('replaced.new', 'replaced')
        fd = make('mapped', bytes(10_000)); memory = mmap.mmap(fd, 10_000)
        memory[5000:5005] = b'mmapd'; memory.flush()
        fd = make('data', bytes_of(300_000, 2)); os.fdatasync(fd)
        fd = os.open('dsync', os.O_CREAT | os.O_WRONLY | os.O_DSYNC)
        os.write(fd, bytes_of(300_000, 3))
        os.mkdir('names'); fd = make('names/a', b'named'); os.fsync(fd)
        os.rename('names/a', 'moved'); os.fsync(os.open('names', os.O_RDONLY))
        os.makedirs('deep/er'); fd = make('deep/er/synced', bytes_of(2_500_000))
        os.setxattr(fd, 'user.a', b'1'); os.fsync(fd)
        import glob
        for name in glob.glob(root + '/home/networks/local/*/lock') + [f'{mount_process}']:
            pid = int(name) if name.isdigit() else int(open(name).readline())
            os.kill(pid, signal.SIGSTOP)
        """

    /// Runs a Python program in the root of the volume.
    static func finds(
        _ program: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let volume = try SharedMount.volume.volume
        let ended = try volume.python(
            Program.prelude + Program.promises + program,
            in: volume.mountPoint,
            ["0", volume.root]
        )
        #expect(ended.code == 0, "\(ended.output)", sourceLocation: sourceLocation)
    }
}

extension MountedVolume {
    /// The mount process and the daemons of the embedded network.
    fileprivate func daemons() throws -> [Int32] {
        let names = ["networks/local/keeper"] + (1...6).map { "networks/local/provider-\($0)" }
        return try (["volumes/home"] + names).map { name in
            try #require(FileLock.holder(of: "\(home)/\(name)/lock")?.pid, "\(name)")
        }
    }
}
