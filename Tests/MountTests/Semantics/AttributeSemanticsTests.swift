import Testing

/// Times, permissions, extended attributes, locks and figures.
@Suite(.enabled(if: Machine.canMount), .serialized, .mounted())
struct AttributeSemanticsTests {
    // MARK: Times

    @Test("time-1") func timesThatAreSetAreKeptToTheNanosecond() throws {
        try holds(
            """
            write('f', b'x'); os.mkdir('d'); os.symlink('f', 's')
            for name in ('f', 'd', 's'):
                for a, m in ((1_000_000_001, 2_000_000_002), (-5_000_000_001, 1 << 60), (0, 999)):
                    os.utime(name, ns=(a, m), follow_symlinks=False); status = os.lstat(name)
                    assert (status.st_atime_ns, status.st_mtime_ns) == (a, m)
            fd = os.open('f', os.O_RDWR); os.write(fd, b'yy'); os.utime(fd, ns=(5, 7)); os.close(fd)
            drop(); assert os.stat('f').st_mtime_ns == 7
            """
        )
    }

    @Test("time-2") func everyChangeOfBytesMovesModificationAndChangeTime() throws {
        try holds(
            """
            write('other', b'o' * 100); other = os.open('other', os.O_RDONLY)
            fd = make('f', b'x' * 10_000); memory = mmap.mmap(fd, 10_000)
            def mapped(): memory[0] = 1; memory.flush()
            changes = [lambda: os.pwrite(fd, b'y', 0), lambda: os.ftruncate(fd, 10_000),
                       lambda: os.truncate('f', 9_000), lambda: fallocate(fd, 0, 0, 20_000),
                       lambda: fallocate(fd, PUNCH | KEEP, 0, 5_000),
                       lambda: fallocate(fd, ZERO, 0, 5_000), mapped,
                       lambda: os.copy_file_range(other, fd, 50, 0, 0),
                       lambda: os.close(os.open('f', os.O_WRONLY | os.O_TRUNC))]
            for number, change in enumerate(changes):
                os.utime(fd, ns=(9, 9)); before = os.fstat(fd).st_ctime_ns; time.sleep(0.01)
                change(); status = os.stat('f')
                assert status.st_mtime_ns > 9 and status.st_ctime_ns > before, number
            """
        )
    }

    @Test("time-3") func everyChangeOfAttributesMovesTheChangeTimeAlone() throws {
        try holds(
            """
            fd = make('f', b'x'); os.setxattr('f', 'user.old', b'')
            changes = [lambda: os.chmod('f', 0o600), lambda: os.chown('f', 1, 1),
                       lambda: os.link('f', 'g'), lambda: os.unlink('g'),
                       lambda: os.rename('f', 'h'), lambda: os.rename('h', 'f'),
                       lambda: os.setxattr('f', 'user.a', b'1'),
                       lambda: os.removexattr('f', 'user.a')]
            for number, change in enumerate(changes):
                os.utime(fd, ns=(9, 9)); before = os.fstat(fd).st_ctime_ns; time.sleep(0.01)
                change(); status = os.fstat(fd)
                assert status.st_mtime_ns == 9 and status.st_ctime_ns > before, number
            """
        )
    }

    @Test("time-4") func everyChangeOfEntriesMovesTheTimesOfItsDirectories() throws {
        try holds(
            """
            os.makedirs('a/x'); os.mkdir('b'); write('f', b'')
            changes = [(lambda: write('a/f', b''), 'a'), (lambda: os.mkdir('a/d'), 'a'),
                       (lambda: os.rename('a/f', 'b/f'), 'ab'), (lambda: os.unlink('b/f'), 'b'),
                       (lambda: os.link('f', 'a/g'), 'a'), (lambda: os.symlink('f', 'b/s'), 'b'),
                       (lambda: os.rmdir('a/d'), 'a'), (lambda: os.mkfifo('b/p'), 'b')]
            for number, (change, directories) in enumerate(changes):
                for name in 'ab': os.utime(name, ns=(9, 9))
                before = max(os.stat(name).st_ctime_ns for name in 'ab'); time.sleep(0.01)
                change()
                for name in 'ab':
                    status = os.stat(name)
                    moved = (status.st_mtime_ns > 9, status.st_ctime_ns > before)
                    assert moved == (name in directories,) * 2, (number, name)
            """
        )
    }

    @Test("time-5") func whatHappenedLaterNeverLooksOlder() throws {
        try holds(
            """
            last = 0
            def later(status):
                global last
                assert status.st_ctime_ns >= last, (status.st_ctime_ns, last)
                last = status.st_ctime_ns
            plain = os.open(root + '/plain/f', os.O_RDWR | os.O_CREAT)
            fd = make('written', b'x'); os.mkdir('d')
            for step in range(300):
                later(os.fstat(make(f'new-{step}')))
                os.pwrite(fd, b'x', step); later(os.fstat(fd))
                os.pwrite(plain, b'x', step); os.fstat(plain)
                os.fchmod(fd, 0o600 + step % 2); later(os.fstat(fd))
                os.utime('written'); later(os.fstat(fd))
                os.mkdir('d/x'); later(os.stat('d')); os.utime('d'); status = os.stat('d')
                assert last <= status.st_mtime_ns <= status.st_ctime_ns; later(status)
                os.rmdir('d/x'); later(os.stat('d'))
            """
        )
    }

    @Test("atime-1") func readingMovesTheAccessTimeOnceAfterAChange() throws {
        try holds(
            """
            make('f', b'x' * 5000); os.mkdir('d'); make('d/e'); os.symlink('f', 's')
            def moves(name, reading):
                before = os.lstat(name).st_atime_ns; time.sleep(0.01); reading()
                return os.lstat(name).st_atime_ns > before
            readings = {'f': lambda: read('f'), 'd': lambda: os.listdir('d')}
            for name, reading in readings.items():
                os.utime(name, ns=(9, 9)); assert moves(name, reading), name
                assert not moves(name, reading), name
            write('f', b'changed'); make('d/g')
            assert all(moves(name, reading) for name, reading in readings.items())
            """
        )
    }

    // MARK: Permissions

    @Test("permission-1") func theKernelChecksPermissionsAsItDoesForALocalDisk() throws {
        try holds(
            """
            os.umask(0); os.mkdir('open', 0o777); write('secret', b's'); os.chmod('secret', 0o640)
            os.chown('secret', 0, 4242); os.mkdir('closed', 0o700); write('closed/f', b'')
            def stranger():
                fails('EACCES', os.open, 'secret', os.O_RDONLY)
                fails('EACCES', os.stat, 'closed/f'); fails('EPERM', os.chmod, 'secret', 0o777)
                write('open/mine', b''); status = os.stat('open/mine')
                assert (status.st_uid, status.st_gid) == (65534, 65534)
            become(65534, stranger)
            def member():
                assert read('secret') == b's'; fails('EACCES', os.open, 'secret', os.O_WRONLY)
            become(65533, member, groups=[4242])
            """
        )
    }

    @Test("permission-2") func stickyDirectoriesKeepStrangersFromTakingNames() throws {
        try holds(
            """
            os.mkdir('t'); os.chmod('t', 0o1777); write('t/f', b''); os.chmod('t/f', 0o666)
            def stranger():
                fails('EPERM', os.unlink, 't/f'); fails('EPERM', os.rename, 't/f', 't/g')
                write('t/mine', b''); os.rename('t/mine', 't/own'); os.unlink('t/own')
            become(65534, stranger)
            """
        )
    }

    @Test("permission-3") func setGroupDirectoriesHandTheirGroupDown() throws {
        try holds(
            """
            os.mkdir('g'); os.chown('g', 0, 4242); os.chmod('g', 0o2777); os.umask(0)
            write('g/f', b''); os.mkdir('g/d'); os.mkfifo('g/p')
            assert all(os.stat('g/' + name).st_gid == 4242 for name in 'fdp')
            assert os.stat('g/d').st_mode & 0o2000 and not os.stat('g/f').st_mode & 0o2000
            """
        )
    }

    @Test("permission-4") func aChangeByAStrangerTakesSetIdBitsAway() throws {
        try holds(
            """
            write('f', b'12345')
            def clears(change, uid=0):
                os.chown('f', 65534, 65534); os.chmod('f', 0o6777); become(uid, change)
                assert os.stat('f').st_mode & 0o6000 == 0, change
            os.chmod('.', 0o777)
            clears(lambda: os.chown('f', 1, 1)); clears(lambda: os.chown('f', -1, -1))
            clears(lambda: os.pwrite(os.open('f', os.O_WRONLY), b'x', 0), 65534)
            clears(lambda: os.truncate('f', 2), 65534)
            clears(lambda: os.close(os.open('f', os.O_WRONLY | os.O_TRUNC)), 65534)
            clears(lambda: fallocate(os.open('f', os.O_WRONLY), 0, 0, 100), 65534)
            """
        )
    }

    @Test("acl-1") func accessListsAreKeptToAndMasked() throws {
        try holds(
            """
            write('f', b'x'); os.chmod('f', 0o640); os.chmod('.', 0o755)
            def list_(mask):
                return acl((USER_OBJ, 6, NOBODY), (USER, 6, 1234), (GROUP_OBJ, 4, NOBODY),
                           (GROUP, 4, 4242), (MASK, mask, NOBODY), (OTHER, 0, NOBODY))
            os.setxattr('f', 'system.posix_acl_access', list_(6))
            def may_write(): os.close(os.open('f', os.O_RDWR))
            def may_read(): read('f'); fails('EACCES', os.open, 'f', os.O_RDWR)
            def may_nothing(): fails('EACCES', os.open, 'f', os.O_RDONLY)
            become(1234, may_write); become(65533, may_read, groups=[4242])
            become(65532, may_nothing)
            os.setxattr('f', 'system.posix_acl_access', list_(4)); become(1234, may_read)
            os.removexattr('f', 'system.posix_acl_access'); become(1234, may_nothing)
            """
        )
    }

    @Test("acl-2") func chmodChangesTheMaskOfAnAccessList() throws {
        try holds(
            """
            write('f', b'x')
            def list_(mask):
                return acl((USER_OBJ, 6, NOBODY), (USER, 7, 1234), (GROUP_OBJ, 4, NOBODY),
                           (MASK, mask, NOBODY), (OTHER, 0, NOBODY))
            os.setxattr('f', 'system.posix_acl_access', list_(7))
            assert os.stat('f').st_mode & 0o777 == 0o670
            os.chmod('f', 0o640); assert os.getxattr('f', 'system.posix_acl_access') == list_(4)
            """
        )
    }

    @Test("acl-3") func defaultListsAreHandedDownInsteadOfTheUmask() throws {
        try holds(
            """
            os.umask(0o077); os.mkdir('d')
            default = acl((USER_OBJ, 7, NOBODY), (USER, 7, 1234), (GROUP_OBJ, 5, NOBODY),
                          (MASK, 7, NOBODY), (OTHER, 5, NOBODY))
            os.setxattr('d', 'system.posix_acl_default', default)
            os.mkdir('d/e', 0o777); os.close(os.open('d/f', os.O_CREAT | os.O_WRONLY, 0o666))
            assert os.getxattr('d/e', 'system.posix_acl_default') == default
            assert os.stat('d/e').st_mode & 0o777 == 0o775
            assert os.stat('d/f').st_mode & 0o777 == 0o664
            assert os.getxattr('d/f', 'system.posix_acl_access') == acl(
                (USER_OBJ, 6, NOBODY), (USER, 7, 1234), (GROUP_OBJ, 5, NOBODY),
                (MASK, 6, NOBODY), (OTHER, 4, NOBODY))
            fails('EACCES', os.setxattr, 'd/f', 'system.posix_acl_default', default)
            """
        )
    }

    // MARK: Extended attributes

    @Test("xattr-1") func attributesAreKeptAsTheyWereSet() throws {
        try holds(
            """
            write('f', b''); os.mkdir('d')
            for name in ('f', 'd'):
                for key in ('user.a', 'trusted.b', 'security.c'):
                    for value in (b'', bytes(range(256)), b'x' * 65536):
                        os.setxattr(name, key, value); assert os.getxattr(name, key) == value
                assert sorted(os.listxattr(name)) == ['security.c', 'trusted.b', 'user.a']
                os.removexattr(name, 'user.a'); fails('ENODATA', os.getxattr, name, 'user.a')
            os.rename('f', 'g'); assert os.getxattr('g', 'security.c') == b'x' * 65536
            """
        )
    }

    @Test("xattr-2") func creatingAndReplacingAttributesAreToldApart() throws {
        try holds(
            """
            write('f', b''); os.setxattr('f', 'user.a', b'1', os.XATTR_CREATE)
            fails('EEXIST', os.setxattr, 'f', 'user.a', b'2', os.XATTR_CREATE)
            fails('ENODATA', os.setxattr, 'f', 'user.b', b'2', os.XATTR_REPLACE)
            fails('ENODATA', os.removexattr, 'f', 'user.b')
            os.setxattr('f', 'user.a', b'3', os.XATTR_REPLACE)
            buffer = ctypes.create_string_buffer(10); os.setxattr('f', 'user.long', b'x' * 11)
            fails('ERANGE', c, 'getxattr', b'f', b'user.long', buffer, 10)
            """
        )
    }

    @Test("xattr-3") func attributesHaveLimits() throws {
        try holds(
            """
            write('f', b'')
            os.setxattr('f', 'user.' + 'n' * 250, b'x')
            fails('ERANGE', os.setxattr, 'f', 'user.' + 'n' * 251, b'x')
            fails('E2BIG', os.setxattr, 'f', 'user.a', b'x' * 65537)
            count = 0
            try:
                while True: os.setxattr('f', f'user.{count:0245}', b'x' * 100); count += 1
            except OSError as error: assert error.errno == errno.ENOSPC, error
            assert count == (65536 - 256) // 251 and len(os.listxattr('f')) == count + 1
            """
        )
    }

    @Test("xattr-4") func whoMaySetAttributesIsAsForALocalDisk() throws {
        try holds(
            """
            write('f', b''); os.chmod('f', 0o644); os.symlink('f', 's'); os.mkfifo('p')
            os.setxattr('f', 'trusted.t', b'1')
            for name in ('s', 'p'):
                fails('EPERM', os.setxattr, name, 'user.a', b'', follow_symlinks=False)
                os.setxattr(name, 'trusted.a', b'', follow_symlinks=False)
            def stranger():
                fails('EACCES', os.setxattr, 'f', 'user.a', b'')
                fails('EPERM', os.setxattr, 'f', 'trusted.a', b'')
                fails('ENODATA', os.getxattr, 'f', 'trusted.t')
            become(65534, stranger)
            """
        )
    }

    @Test("xattr-5") func otherNamespacesAndOurOwnNamesAreRefused() throws {
        try holds(
            """
            write('f', b'')
            for name in ('plain', 'nonsense.a', 'system.a', 'userx.a'):
                fails('ENOTSUP', os.setxattr, 'f', name, b'')
            for name in ('user.mefs.state', 'user.mefs.control', 'user.mefs.more'):
                fails('EPERM', os.setxattr, 'f', name, b'')
            assert os.listxattr('f') == [] and os.getxattr('f', 'user.mefs.state')
            """
        )
    }

    // MARK: Locks

    @Test("lock-1") func wholeFileLocksExcludeOtherDescriptors() throws {
        try holds(
            """
            write('f', b''); one = os.open('f', os.O_RDWR); two = os.open('f', os.O_RDWR)
            TRY = fcntl.LOCK_NB
            fcntl.flock(one, fcntl.LOCK_EX); fails('EAGAIN', fcntl.flock, two, fcntl.LOCK_EX | TRY)
            fails('EAGAIN', fcntl.flock, two, fcntl.LOCK_SH | TRY)
            fcntl.flock(one, fcntl.LOCK_SH); fcntl.flock(two, fcntl.LOCK_SH | TRY)
            os.close(one); fcntl.flock(two, fcntl.LOCK_EX | TRY)
            """
        )
    }

    @Test("lock-2") func rangeLocksOfProcessesExcludeOverlappingOnes() throws {
        try holds(
            """
            fd = make('f', b'x' * 100); fcntl.lockf(fd, fcntl.LOCK_EX, 20, 0)
            def other(_):
                own = os.open('f', os.O_RDWR); TRY = fcntl.LOCK_EX | fcntl.LOCK_NB
                fails('EAGAIN', fcntl.lockf, own, TRY, 10, 10); fcntl.lockf(own, TRY, 10, 20)
                form = 'hhqqi4x'; asked = struct.pack(form, fcntl.F_WRLCK, 0, 0, 5, 0)
                held = fcntl.fcntl(own, fcntl.F_GETLK, asked)
                kind, _, start, length, pid = struct.unpack(form, held)
                assert (kind, start, length, pid) == (fcntl.F_WRLCK, 0, 20, os.getppid())
            each(1, other)
            """
        )
    }

    @Test("lock-3") func rangeLocksOfDescriptorsExcludeOthersOfTheSameProcess() throws {
        try holds(
            """
            write('f', b''); one = os.open('f', os.O_RDWR); two = os.open('f', os.O_RDWR)
            F_OFD_SETLK = 37
            def lock(fd, start):
                fcntl.fcntl(fd, F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, start, 10, 0))
            lock(one, 0); fails('EAGAIN', lock, two, 5); lock(two, 10)
            os.close(os.dup(one)); fails('EAGAIN', lock, two, 5); os.close(one); lock(two, 5)
            """
        )
    }

    @Test("lock-4") func locksEndWithTheirHolder() throws {
        try holds(
            """
            fd = make('f', b'x'); ready, told = os.pipe(); children = []
            for lock in (lambda own: fcntl.flock(own, fcntl.LOCK_EX),
                         lambda own: fcntl.lockf(own, fcntl.LOCK_EX)):
                pid = os.fork()
                if pid == 0:
                    lock(os.open('f', os.O_RDWR)); os.write(told, b'!'); signal.pause()
                os.read(ready, 1); children.append(pid)
            fails('EAGAIN', fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fails('EAGAIN', fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for pid in children: os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            """
        )
    }

    // MARK: Figures, and what is not there

    @Test("statfs-1") func figuresAreThoseOfTheProviders() throws {
        try holds(
            """
            figures = os.statvfs('.'); disk = os.statvfs(root)
            assert figures.f_namemax == 255 and figures.f_bsize == 4096
            assert 0 < figures.f_bavail <= figures.f_bfree <= figures.f_blocks
            # Six providers on this disk, of which two hold what the code adds.
            assert figures.f_blocks * figures.f_frsize < 4 * disk.f_blocks * disk.f_frsize
            files = figures.f_files - figures.f_ffree; make('one'); os.mkdir('two')
            figures = os.statvfs('.'); assert figures.f_files - figures.f_ffree == files + 2
            """
        )
    }

    @Test("statfs-2") func noFileWithBytesLooksLikeAHole() throws {
        try holds(
            """
            write('empty', b''); fds = [make('new'), os.open('empty', os.O_WRONLY)]
            for fd in fds: os.pwrite(fd, b'x' * 10_000, 0)
            assert all(os.fstat(fd).st_blocks > 0 for fd in fds)
            subprocess.run(['tar', '-cSf', 'all.tar', 'new', 'empty'], check=True)
            os.mkdir('out'); subprocess.run(['tar', '-xf', 'all.tar', '-C', 'out'], check=True)
            assert read('out/new') == read('out/empty') == b'x' * 10_000
            for fd in fds: os.close(fd)
            assert os.stat('new').st_blocks == os.stat('empty').st_blocks == 24
            fd = make('sparse'); os.pwrite(fd, b'x', 100 << 20); os.close(fd)
            assert os.stat('sparse').st_blocks <= 2048 + 8
            """
        )
    }

    @Test("unsupported-1") func requestsForOtherFilesystemsAreRefused() throws {
        try holds(
            """
            fd = make('f', b'x' * 10_000)
            FIEMAP, FICLONE = 0xC020660B, 0x40049409
            FIDEDUPERANGE, FITRIM = 0xC0189436, 0xC0185879
            for number in (FIEMAP, FIDEDUPERANGE):
                fails('ENOTSUP', fcntl.ioctl, fd, number, bytearray(128))
            fails('ENOTSUP', fcntl.ioctl, fd, FICLONE, make('g'))
            FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR = 0x80086601, 0x801C581F
            for number in (FITRIM, FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR):
                fails('ENOTTY', fcntl.ioctl, fd, number, bytearray(128))
            """
        )
    }

    @Test("unsupported-2") func thereIsNoSwapAndNoReadingWithoutWaiting() throws {
        try holds(
            """
            fd = make('f', b'x' * (1 << 20)); fails('EINVAL', c, 'swapon', b'f', 0)
            fails('ENOTSUP', os.preadv, fd, [bytearray(5)], 0, os.RWF_NOWAIT)
            """
        )
    }
}
