// Programs about times and locks.

extension Program {
    static let times: [Program] = [
        Program(
            name: "which times change",
            text: """
                def stamps(name):
                    s = os.lstat(name); return (s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns)
                def see(what, body, *names):
                    before = {name: stamps(name) for name in names}
                    time.sleep(0.012); body()
                    for name in names:
                        try: after = stamps(name)
                        except FileNotFoundError: print(what, name, 'gone'); continue
                        pairs = list(zip('amc', before[name], after))
                        print(what, name, ''.join(letter for letter, a, b in pairs if a != b),
                              'back' if any(b < a for _, a, b in pairs) else '')
                write('f', b'x' * 9000); os.mkdir('d'); os.symlink('f', 's'); os.mkdir('e')
                write('r', b'')
                fd = os.open('f', os.O_RDWR)
                long = ctypes.c_long
                def mapped():
                    memory = mmap.mmap(fd, 9000); memory[5000] = 1; memory.flush(); memory.close()
                os.read(fd, 1)
                see('write', lambda: os.pwrite(fd, b'y', 0), 'f', '.')
                see('append', lambda: os.pwrite(fd, b'y', 9000), 'f')
                see('write nothing', lambda: os.pwrite(fd, b'', 0), 'f')
                def changes(name): s = os.stat(name); return s.st_mtime_ns, s.st_ctime_ns
                old = changes('f'); time.sleep(0.012); mapped(); new = changes('f')
                print('mmap', new[0] > old[0], new[1] > old[1])
                see('fsync', lambda: os.fsync(fd), 'f')
                see('ftruncate to the same', lambda: os.ftruncate(fd, 9001), 'f')
                see('truncate shorter', lambda: os.ftruncate(fd, 8000), 'f')
                see('truncate longer', lambda: os.truncate('f', 9000), 'f')
                see('O_TRUNC', lambda: os.close(os.open('r', os.O_WRONLY | os.O_TRUNC)), 'r')
                see('reserve', lambda: c('fallocate', fd, 0, long(0), long(20000)), 'f')
                see('punch', lambda: c('fallocate', fd, 3, long(0), long(4096)), 'f')
                see('zero', lambda: c('fallocate', fd, 16, long(0), long(4096)), 'f')
                target = os.open('r', os.O_WRONLY)
                see('copy_file_range', lambda: os.copy_file_range(fd, target, 100), 'r')
                see('chmod', lambda: os.chmod('f', 0o600), 'f', '.')
                see('chmod to the same', lambda: os.chmod('f', 0o600), 'f')
                see('chown', lambda: os.chown('f', 1, 1), 'f')
                see('chown to nobody new', lambda: os.chown('f', -1, -1), 'f')
                see('lchown', lambda: os.lchown('s', 1, 1), 's', 'f')
                see('chmod of a directory', lambda: os.chmod('d', 0o700), 'd', '.')
                see('chown of a directory', lambda: os.chown('d', -1, -1), 'd', '.')
                see('link', lambda: os.link('f', 'd/l'), 'f', 'd', '.')
                see('unlink', lambda: os.unlink('d/l'), 'f', 'd', '.')
                see('link to a link', lambda: os.link('s', 'd/s', follow_symlinks=False), 's', 'd')
                see('rename', lambda: os.rename('f', 'f2'), '.')
                see('back', lambda: os.rename('f2', 'f'), '.')
                see('rename of', lambda: (os.rename('r', 'q'), os.rename('q', 'r')), 'r')
                see('rename into', lambda: os.rename('r', 'd/r'), '.', 'd')
                see('rename over', lambda: os.rename('d/r', 'f'), '.', 'd')
                os.mkdir('d/sub')
                see('rename of a directory', lambda: os.rename('d/sub', 'e/sub'), 'd', 'e')
                see('rename to itself', lambda: os.rename('f', 'f'), 'f', '.')
                old = os.stat('d').st_ctime_ns, os.stat('f').st_ctime_ns
                see('exchange', lambda: c('renameat2', -100, b'd', -100, b'f', 2), '.')
                print(os.stat('f').st_ctime_ns > old[0], os.stat('d').st_ctime_ns > old[1])
                c('renameat2', -100, b'd', -100, b'f', 2)
                see('mkdir', lambda: os.mkdir('d/n'), 'd', '.')
                see('rmdir', lambda: os.rmdir('d/n'), 'd', '.')
                see('mknod', lambda: os.mkfifo('d/p'), 'd')
                see('symlink', lambda: os.symlink('x', 'd/y'), 'd')
                see('create', lambda: write('d/new', b''), 'd', '.')
                see('no create', lambda: write('d/new', b''), 'd')
                see('setxattr', lambda: os.setxattr('f', 'user.a', b'1'), 'f', '.')
                see('removexattr', lambda: os.removexattr('f', 'user.a'), 'f')
                see('utime', lambda: os.utime('f', (1, 1)), 'f')
                see('utime now', lambda: os.utime('f'), 'f')
                OMIT, NOW = (1 << 30) - 2, (1 << 30) - 1
                def utimens(*pairs): c('utimensat', -100, b'f', (long * 4)(*pairs), 0)
                see('utime of access', lambda: utimens(0, NOW, 0, OMIT), 'f')
                see('utime of change', lambda: utimens(0, OMIT, 5, 999_999_999), 'f')
                print(stamps('f')[1])
                see('utime of none', lambda: utimens(0, OMIT, 0, OMIT), 'f')
                see('lutime', lambda: os.utime('s', (1, 1), follow_symlinks=False), 's', 'f')
                for what in (lambda: os.unlink('missing'), lambda: os.mkdir('d'),
                             lambda: os.rename('d', 's'), lambda: os.link('f', 's'),
                             lambda: os.rmdir('.')):
                    def failing():
                        try: what()
                        except OSError as error: print(errno.errorcode[error.errno])
                    see('failing', failing, '.', 'd', 'f', 's')
                """
        ),
        Program(
            name: "access times",
            text: """
                def aged(name, seconds, follow=True):
                    now = time.time_ns(); s = os.stat(name, follow_symlinks=follow)
                    times = now - seconds * 10**9, s.st_mtime_ns
                    os.utime(name, ns=times, follow_symlinks=follow)
                def stamp(name): return os.lstat(name).st_atime_ns
                def see(what, body, name):
                    before = stamp(name); time.sleep(0.012); body()
                    print(what, name, 'read' if stamp(name) != before else '-')
                write('f', b'x' * 5000); write('g', b'x' * 3_000_000); write('empty', b'')
                os.mkdir('d'); write('d/x', b''); os.symlink('f', 's')
                for name in ('f', 'g'):
                    see('first', lambda: read(name), name); see('second', lambda: read(name), name)
                    time.sleep(0.012); write(name, b'new' * 1000)
                    see('stat', lambda: os.stat(name), name)
                    see('open for writing', lambda: os.close(os.open(name, os.O_WRONLY)), name)
                    see('after a write', lambda: read(name), name)
                    see('again', lambda: read(name), name)
                    os.chmod(name, 0o600); time.sleep(0.012)
                    see('after a chmod', lambda: read(name), name)
                    see('again', lambda: read(name), name)
                    aged(name, 3600); time.sleep(0.012); read(name)
                    os.utime(name, ns=(time.time_ns() - 90000 * 10**9, 5))
                see('open only', lambda: os.close(os.open('f', os.O_RDONLY)), 'f')
                see('empty', lambda: read('empty'), 'empty')
                os.chmod('f', 0o640); time.sleep(0.012)
                def mapped():
                    with open('f', 'rb') as file:
                        mmap.mmap(file.fileno(), 3000, prot=mmap.PROT_READ)[10]
                see('mapped', mapped, 'f')
                time.sleep(0.012); write('d/y', b'')
                see('listing', lambda: os.listdir('d'), 'd')
                see('listing again', lambda: os.listdir('d'), 'd')
                os.chmod('d', 0o755); time.sleep(0.012); write('d/z', b'')
                see('listing after a change', lambda: os.listdir('d'), 'd')
                see('readlink', lambda: os.readlink('s'), 's')
                see('again', lambda: os.readlink('s'), 's')
                """
        ),
        Program(
            name: "locks of descriptions and of processes",
            text: """
                SETLK, GETLK, OFD_SETLK, OFD_GETLK = 6, 5, 37, 36
                def lock(kind, start, length):
                    return struct.pack('hhqqi4x', kind, 0, start, length, 0)
                write('f', b'x' * 1000)
                first = os.open('f', os.O_RDWR); second = os.open('f', os.O_RDWR)
                copy = os.dup(first)
                def ofd(fd, kind, start=0, length=0):
                    try: fcntl.fcntl(fd, OFD_SETLK, lock(kind, start, length)); print('ofd ok')
                    except OSError as error: print('ofd', errno.errorcode[error.errno])
                ofd(first, fcntl.F_WRLCK, 0, 100); ofd(second, fcntl.F_WRLCK, 50, 10)
                ofd(second, fcntl.F_WRLCK, 100, 10)
                ofd(copy, fcntl.F_WRLCK, 50, 10); ofd(second, fcntl.F_RDLCK, 0, 100)
                found = fcntl.fcntl(second, OFD_GETLK, lock(fcntl.F_RDLCK, 0, 0))
                print(struct.unpack('hhqqi4x', found)[:4])
                os.close(copy); ofd(second, fcntl.F_WRLCK, 0, 10)
                os.close(first); ofd(second, fcntl.F_WRLCK, 0, 10)
                ofd(second, fcntl.F_UNLCK); ofd(second, fcntl.F_RDLCK)
                third = os.open('f', os.O_RDONLY)
                ofd(third, fcntl.F_RDLCK); ofd(third, fcntl.F_WRLCK)
                def child():
                    # A process's locks are not its parent's, and go with the first close.
                    sys.stdout.flush()
                    pid = os.fork()
                    if pid == 0:
                        fd = os.open('f', os.O_RDWR)
                        attempt(fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 500)
                        attempt(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB); sys.stdout.flush()
                        os._exit(0)
                    os.waitpid(pid, 0)
                ofd(second, fcntl.F_UNLCK); ofd(third, fcntl.F_UNLCK)
                own = os.open('f', os.O_RDWR); fcntl.lockf(own, fcntl.LOCK_EX, 10, 505); child()
                os.close(os.open('f', os.O_RDONLY)); child()
                fcntl.flock(third, fcntl.LOCK_SH); child(); os.close(third); child()
                # A blocked lock is had when the holder lets go.
                fcntl.flock(own, fcntl.LOCK_EX); held = os.open('f', os.O_RDWR); order = []
                def waits(): fcntl.flock(held, fcntl.LOCK_EX); order.append('waiter')
                waiter = threading.Thread(target=waits)
                waiter.start(); time.sleep(0.05); order.append('holder')
                fcntl.flock(own, fcntl.LOCK_UN)
                waiter.join(); print(order)
                """
        ),
    ]
}
