import Glibc
import Testing

/// What is there after the mount process was killed, at the moment that matters, or unmounted.
@Suite(.enabled(if: Machine.canMount), .serialized, .mounted("epoch=3600,dirty-age=3600"))
struct CrashSemanticsTests {
    // MARK: fsync and its kin

    @Test("fsync-1") func whatFsyncAcknowledgedSurvivesAKill() throws {
        try Story().survivesKill(
            """
            fd = make('f', bytes_of(2_500_000)); os.fsync(fd); drop()
            os.pwrite(fd, b'change', 1_000_000); os.ftruncate(fd, 2_000_000)
            os.fchmod(fd, 0o640); os.fchown(fd, 5, 6); os.setxattr(fd, 'user.a', b'1')
            os.utime(fd, ns=(7, 8)); os.fsync(fd)
            """,
            then: """
                expected = bytearray(bytes_of(2_500_000)[:2_000_000])
                expected[1_000_000:1_000_006] = b'change'; status = os.stat('f')
                assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 5, 6)
                assert (status.st_atime_ns, status.st_mtime_ns) == (7, 8)
                assert os.getxattr('f', 'user.a') == b'1' and read('f') == bytes(expected)
                """
        )
    }

    @Test("fsync-2") func fsyncMakesTheNamesOfTheFileLastToo() throws {
        try Story().survivesKill(
            """
            os.makedirs('new/deep'); fd = make('new/deep/f', b'x'); os.link('new/deep/f', 'second')
            os.rename('new/deep', 'moved'); os.fsync(fd)
            """,
            then: """
                assert read('moved/f') == read('second') == b'x' and os.listdir('new') == []
                assert os.stat('second').st_nlink == 2
                """
        )
    }

    @Test("fsync-3") func fsyncCoversWhatOthersWroteToTheFile() throws {
        try Story().survivesKill(
            """
            fd = make('f', bytes(100_000)); memory = mmap.mmap(fd, 100_000)
            each(3, lambda number: os.pwrite(os.open('f', os.O_WRONLY), b'child', 1000 * number))
            memory[50_000:50_005] = b'mmapd'; os.fsync(os.open('f', os.O_RDONLY))
            """,
            then: """
                data = read('f'); assert data[50_000:50_005] == b'mmapd'
                assert all(data[at:at + 5] == b'child' for at in (0, 1000, 2000))
                """
        )
    }

    @Test("fsync-4") func whateverIsSyncedSyncsEveryEarlierChangeOfNames() throws {
        try Story().survivesKill(
            """
            os.makedirs('elsewhere/d'); write('elsewhere/f', b''); write('gone', b'')
            os.unlink('gone'); os.chmod('elsewhere/d', 0o700); fd = make('other'); os.fsync(fd)
            """,
            then: """
                assert sorted(os.listdir('elsewhere')) == ['d', 'f'] and not os.path.exists('gone')
                assert os.stat('elsewhere/d').st_mode & 0o777 == 0o700
                """
        )
    }

    @Test("fdatasync-1") func fdatasyncIsAsGoodAsFsync() throws {
        try Story().survivesKill(
            """
            fd = make('f', bytes_of(1_500_000)); os.fchmod(fd, 0o600); os.fdatasync(fd)
            """,
            then: """
                assert read('f') == bytes_of(1_500_000) and os.stat('f').st_mode & 0o777 == 0o600
                """
        )
    }

    @Test("fsync-5") func fsyncOfADirectoryMakesItsEntriesLast() throws {
        try Story().survivesKill(
            """
            os.mkdir('d'); write('d/a', b''); write('d/b', b''); os.unlink('d/a')
            os.rename('d/b', 'd/c'); os.symlink('text', 'd/s'); os.fsync(os.open('d', os.O_RDONLY))
            """,
            then: "assert sorted(os.listdir('d')) == ['c', 's'] and os.readlink('d/s') == 'text'"
        )
    }

    @Test("msync-1") func msyncIsAsGoodAsFsyncForItsRange() throws {
        try Story().survivesKill(
            """
            fd = make('f'); os.ftruncate(fd, 1 << 20); memory = mmap.mmap(fd, 1 << 20)
            memory[300_000:300_005] = b'mmapd'; memory.flush(299_008, 8192)
            """,
            then: "assert read('f')[300_000:300_005] == b'mmapd'"
        )
    }

    @Test("osync-1") func aSynchronousWriteIsDurableWhenItReturns() throws {
        try Story().survivesKill(
            """
            for name, flag in (('s', os.O_SYNC), ('d', os.O_DSYNC), ('b', os.O_SYNC | os.O_DIRECT)):
                fd = os.open(name, os.O_WRONLY | os.O_CREAT | flag)
                os.write(fd, b'first'); os.write(fd, bytes_of(300_000))
            late = make('v'); os.fsync(os.open('.', os.O_RDONLY))
            os.pwritev(late, [b'with a flag'], 0, os.RWF_SYNC)
            """,
            then: """
                assert all(read(name) == b'first' + bytes_of(300_000) for name in 'sdb')
                assert read('v') == b'with a flag'
                """
        )
    }

    // MARK: Without fsync

    @Test("close-1") func aClosedFileSurvivesAKillAMomentLater() throws {
        try Story().survivesKill(
            """
            os.mkdir('d'); fd = make('d/f', bytes_of(1_500_000)); os.utime(fd, ns=(7, 8))
            os.close(fd); time.sleep(1)
            """,
            then: "assert read('d/f') == bytes_of(1_500_000) and os.stat('d/f').st_mtime_ns == 8"
        )
    }

    @Test("syncfs-1") func syncfsHandsEverythingOver() throws {
        try Story().survivesKill(
            """
            fds = [make(f'f{n}', bytes_of(200_000, n)) for n in range(10)]
            memory = mmap.mmap(fds[0], 200_000); memory[5:10] = b'mmapd'
            c('syncfs', fds[3]); time.sleep(1)
            """,
            then: """
                assert read('f0')[5:10] == b'mmapd' and read('f0')[10:] == bytes_of(200_000, 0)[10:]
                assert all(read(f'f{n}') == bytes_of(200_000, n) for n in range(1, 10))
                """
        )
    }

    @Test("order-1") func afterAKillTheNamesAreThoseOfOneMomentBefore() throws {
        let story = try Story()
        let pid = try story.volume.processID()
        try story.runs(
            """
            os.mkdir('d')
            if os.fork() == 0:
                try:
                    for step in range(100_000):
                        write(f'd/{step}', b''); os.rename(f'd/{step}', f'd/r{step}')
                        if step: os.unlink(f'd/r{step - 1}')
                except OSError: os._exit(0)
            while '200' > (os.listdir('d') or ['r0'])[0].lstrip('r').zfill(3): pass
            kill_mount()
            """
        )
        try story.mountsAgain(after: pid)
        try story.runs(
            """
            # Between two steps, or in the midst of one: never more than the last two.
            names = os.listdir('d'); numbers = sorted(int(name.lstrip('r')) for name in names)
            assert 1 <= len(names) <= 2 and numbers[-1] - numbers[0] == len(names) - 1, names
            """
        )
    }

    @Test("rename-6") func aFileReplacedByRenameIsOldOrNewAndWhole() throws {
        let story = try Story()
        for round in 0..<2 {
            let pid = try story.volume.processID()
            try story.runs(
                """
                def content(step): return b'%06d' % step * 20_000
                write('f', content(0)); os.sync()
                if os.fork() == 0:
                    try:
                        for step in range(1, 100_000):
                            write('new', content(step)); os.rename('new', 'f')
                    except OSError: os._exit(0)
                while int(read('f')[:6]) < 10 + 7 * \(round): pass
                kill_mount()
                """
            )
            try story.mountsAgain(after: pid)
            try story.runs("data = read('f'); assert data == data[:6] * 20_000 and data[:6] > b'0'")
        }
    }

    @Test("write-6") func anUnsyncedChangeLeavesOldOrNewBytesAndHarmsNoOthers() throws {
        try Story().survivesKill(
            """
            fd = make('f', b'o' * 3_000_000); make('other', b'other'); os.sync(); place(); drop()
            for at in range(0, 3_000_000, 10_000): os.pwrite(fd, b'n' * 5_000, at)
            c('sync_file_range', fd, long(0), long(1_000_000), 7)
            """,
            then: """
                data = read('f'); assert len(data) == 3_000_000 and set(data) <= set(b'on')
                assert all(data[at + 5_000:at + 10_000] == b'o' * 5_000
                           for at in range(0, 3_000_000, 10_000))
                assert read('other') == b'other'
                """
        )
    }

    @Test("unlinked-3") func aFileUnlinkedWhileOpenIsGoneAfterAKill() throws {
        try Story().survivesKill(
            """
            fd = make('f', bytes_of(9 << 20)); os.fsync(fd); os.unlink('f')
            os.fsync(os.open('.', os.O_RDONLY))
            """,
            then: """
                assert os.listdir('.') == []; cache = f'{root}/home/volumes/home/cache'
                deadline = time.monotonic() + 30
                def used():
                    return max(os.lstat(os.path.join(where, name)).st_blocks * 512
                               for where, _, names in os.walk(cache) for name in names)
                while used() > 8 << 20 and time.monotonic() < deadline: time.sleep(0.02)
                assert used() <= 8 << 20
                """
        )
    }

    @Test("crash-1") func programsLearnThatTheMountIsGoneAndTheNextOneServes() throws {
        let story = try Story()
        let pid = try story.volume.processID()
        try story.runs("fd = make('f', b'kept'); os.fsync(fd)")
        let sleeper = try Sleeper(in: story)
        kill(pid, SIGKILL)
        try story.mountsAgain(after: pid)
        // Who had a file open stays with the dead mount; who opens it now is with the new one.
        #expect(sleeper.errorOfStatistics() == ENOTCONN)
        #expect(sleeper.errorOfSyncedWrite() != 0)
        try story.runs("assert read('f') == b'kept'")
    }

    @Test("lock-5") func locksEndWithTheMount() throws {
        let story = try Story()
        let pid = try story.volume.processID()
        try story.runs("fd = make('f', b''); os.fsync(fd)")
        let sleeper = try Sleeper(in: story)
        try story.runs("fails('EAGAIN', fcntl.flock, os.open('f', os.O_RDWR), 6)")
        kill(pid, SIGKILL)
        try story.mountsAgain(after: pid)
        try story.runs("fcntl.flock(os.open('f', os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)")
        withExtendedLifetime(sleeper) {}
    }

    // MARK: In order

    @Test("unmount-1") func unmountingKeepsWhatNobodySynced() throws {
        let story = try Story()
        try story.runs(
            """
            fd = make('f', bytes_of(2_000_000)); memory = mmap.mmap(fd, 2_000_000)
            memory[0:3] = b'end'; os.mkdir('d')
            """
        )
        #expect(try story.volume.unmount().code == 0)
        try story.shared.mount()
        try story.runs(
            "assert read('f') == b'end' + bytes_of(2_000_000)[3:] and os.path.isdir('d')"
        )
    }

    @Test("remount-1") func theTreeIsTheSameAtTheNextMount() throws {
        let story = try Story()
        let tree = """
            def tree():
                for where, folders, names in os.walk('.'):
                    for name in sorted(folders + names) + ['.']:
                        path = os.path.join(where, name); s = os.lstat(path)
                        yield (path, s.st_ino, s.st_mode, s.st_nlink, s.st_uid, s.st_gid, s.st_size,
                               s.st_rdev, s.st_mtime_ns, s.st_ctime_ns, s.st_atime_ns,
                               [(key, os.getxattr(path, key, follow_symlinks=False))
                                for key in sorted(os.listxattr(path, follow_symlinks=False))],
                               os.readlink(path) if stat.S_ISLNK(s.st_mode) else
                               hash_of(path) if stat.S_ISREG(s.st_mode) else None)
            def hash_of(path): import hashlib; return hashlib.sha256(read(path)).hexdigest()

            """
        try story.runs(
            tree + """
                os.makedirs('a/b'); write('a/b/f', bytes_of(1_500_000)); os.link('a/b/f', 'a/g')
                os.symlink('to', 's'); os.mkfifo('p', 0o600); os.chown('a/g', 3, 4); os.mkdir('e')
                os.mknod('c', 0o600 | stat.S_IFCHR, os.makedev(1, 3)); os.chmod('a', 0o1755)
                os.setxattr('a', 'user.x', b'1')
                list_ = acl((USER_OBJ, 7, NOBODY), (USER, 7, 12), (GROUP_OBJ, 5, NOBODY),
                            (MASK, 7, NOBODY), (OTHER, 5, NOBODY))
                os.setxattr('a', 'system.posix_acl_access', list_)
                os.setxattr('a', 'system.posix_acl_default', list_)
                os.utime('a/g', ns=(5, -6)); os.unlink('a/b/f')
                fd = make('sparse'); os.ftruncate(fd, 1 << 40); os.close(fd)
                os.truncate('sparse', 1 << 21)
                list(tree())  # Reading for the first time moves access times.
                with open(root + '/plain/tree', 'w') as file: file.write(repr(list(tree())))
                """
        )
        #expect(try story.volume.unmount().code == 0)
        try story.shared.mount()
        try story.runs(
            tree + """
                with open(root + '/plain/tree') as file: assert file.read() == repr(list(tree()))
                """
        )
    }

    @Test("atime-2") func noReadingMovesTheAccessTimeUnderNoatime() throws {
        let story = try Story()
        try story.runs("make('f', b'x'); os.mkdir('d'); make('d/e')")
        #expect(try story.volume.unmount().code == 0)
        try story.volume.mount(["-o", "noatime"])
        try story.runs(
            """
            os.utime('f', ns=(9, 10)); os.utime('d', ns=(9, 10)); read('f'); os.listdir('d')
            assert os.stat('f').st_atime_ns == os.stat('d').st_atime_ns == 9
            """
        )
        #expect(try story.volume.unmount().code == 0)
        try story.shared.mount()
    }

    @Test("readonly-1") func aReadOnlyMountChangesNothing() throws {
        let story = try Story()
        try story.runs("make('f', b'x'); os.mkdir('d')")
        #expect(try story.volume.unmount().code == 0)
        try story.volume.mount(["-o", "ro"])
        try story.runs(
            """
            fails('EROFS', os.open, 'f', os.O_WRONLY); fails('EROFS', os.mkdir, 'e')
            fails('EROFS', os.unlink, 'f'); fails('EROFS', os.rename, 'f', 'g')
            fails('EROFS', os.chmod, 'f', 0o600); fails('EROFS', os.utime, 'f')
            fails('EROFS', os.setxattr, 'f', 'user.a', b''); assert read('f') == b'x'
            """
        )
        #expect(try story.volume.unmount().code == 0)
        try story.shared.mount()
    }
}
