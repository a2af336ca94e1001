import Control
import Disk
import Testing

/// A cache that is gone, and a database that is gone or damaged.
@Suite(.enabled(if: Machine.canMount), .serialized, .mounted("epoch=3600,dirty-age=3600"))
struct LossSemanticsTests {
    @Test("cache-1") func whatIsPlacedOutlivesTheCacheDisk() throws {
        let story = try Story()
        try story.runs("make('f', bytes_of(3_000_000)); os.setxattr('f', 'user.a', b'1'); place()")
        #expect(try story.volume.unmount().code == 0)
        try story.volume.loses("cache")
        try story.shared.mount()
        try story.runs("assert read('f') == bytes_of(3_000_000); os.getxattr('f', 'user.a')")
    }

    @Test("cache-2") func changesThatWereInTheLostCacheAloneAreAskedAbout() throws {
        let story = try Story()
        let volume = story.volume
        try story.runs(
            """
            fd = make('f', bytes_of(3_000_000)); place()
            os.pwrite(fd, b'change', 5); os.fsync(fd); os.fsync(make('new', b'new'))
            """
        )
        try volume.kill9()
        try volume.loses("cache")
        let refused = try volume.tryMount([volume.mountPoint])
        #expect(refused.code == ExitCode.corrupt.rawValue, "\(refused.output)")
        #expect(refused.output.contains("discard-lost"))
        try volume.mount(["-o", "discard-lost"])
        try story.runs("assert read('f') == bytes_of(3_000_000) and set(read('new')) <= {0}")
        #expect(try volume.unmount().code == 0)
        try story.shared.mount()
    }

    @Test("database-1") func aVolumeWithoutItsDatabaseIsNotMounted() throws {
        let story = try Story()
        let volume = story.volume
        let database = volume.home + "/volumes/home/metadata/volume.db"
        try story.runs("make('f', bytes_of(1_000_000)); place()")
        #expect(try volume.unmount().code == 0)
        let bytes = try WholeFile.read(database, limit: 64 << 20)
        try WholeFile.remove(database)
        #expect(try volume.tryMount([volume.mountPoint]).code == ExitCode.corrupt.rawValue)
        var damaged = bytes
        damaged.replaceSubrange(0..<4096, with: repeatElement(0x55, count: 4096))
        try WholeFile.replace(database, with: damaged)
        #expect(try volume.tryMount([volume.mountPoint]).code == ExitCode.corrupt.rawValue)
        try WholeFile.replace(database, with: bytes)
        try story.shared.mount()
        try story.runs("assert read('f') == bytes_of(1_000_000)")
    }

    @Test("database-2") func damagedPagesGiveErrorsAndNeverOtherBytes() throws {
        let story = try Story()
        let volume = story.volume
        let database = volume.home + "/volumes/home/metadata/volume.db"
        try story.runs(
            """
            os.mkdir('d')
            for n in range(300): write(f'd/{n}', b'%d' % n * 100)
            place()
            """
        )
        #expect(try volume.unmount().code == 0)
        let bytes = try WholeFile.read(database, limit: 64 << 20)
        // Every third page but the first.
        var damaged = bytes
        for page in stride(from: 2, to: bytes.count / 4096, by: 3) {
            let start = page * 4096 + 64
            damaged.replaceSubrange(start..<start + 2048, with: repeatElement(0x55, count: 2048))
        }
        try WholeFile.replace(database, with: damaged)
        let ended = try volume.tryMount([volume.mountPoint])
        if ended.code == 0 {
            try story.runs(
                """
                errors = 0
                for n in range(300):
                    try: assert read(f'd/{n}') == b'%d' % n * 100
                    except OSError as error: assert error.errno == errno.EIO; errors += 1
                assert errors
                """
            )
            try volume.kill9()
        } else {
            #expect(ended.code == ExitCode.corrupt.rawValue, "\(ended.output)")
        }
        for suffix in ["-wal", "-shm"] { try WholeFile.remove(database + suffix) }
        try WholeFile.replace(database, with: bytes)
        try story.shared.mount()
    }
}

extension MountedVolume {
    /// Removes a folder of the volume.
    func loses(_ folder: String) throws {
        try Directory.remove(tree: home + "/volumes/home/" + folder)
    }
}
