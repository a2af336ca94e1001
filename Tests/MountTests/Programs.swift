// Python programs that print what they see. Each runs in an empty directory, once on the mount
// and once on the local disk; the two must print the same.

struct Program: Sendable {
    let name: String
    let text: String

    private static let modules =
        "import ctypes, errno, fcntl, mmap, os, random, stat, struct, sys, threading, time\n"

    /// What every program begins with.
    static let prelude =
        modules + """
            libc = ctypes.CDLL(None, use_errno=True)
            def attempt(call, *arguments):
                try:
                    result = call(*arguments)
                    shown = result if isinstance(result, (int, bytes, str, list)) else ''
                    print(call.__name__, 'ok', shown)
                except OSError as error:
                    print(call.__name__, errno.errorcode[error.errno])
            def c(name, *arguments):
                ctypes.set_errno(0)
                result = getattr(libc, name)(*arguments)
                if result < 0: raise OSError(ctypes.get_errno(), name)
                return result
            def write(name, data):
                with open(name, 'wb') as file: file.write(data)
            def read(name):
                with open(name, 'rb') as file: return file.read()
            def show(name):
                s = os.lstat(name)
                print(name, oct(s.st_mode), s.st_nlink, s.st_uid, s.st_gid,
                      s.st_size if not stat.S_ISDIR(s.st_mode) else '-')
            def as_user(uid, body):
                pid = os.fork()
                if pid == 0:
                    code = 1
                    try:
                        os.setgroups([]); os.setegid(uid); os.seteuid(uid)
                        body()
                        sys.stdout.flush()
                        code = 0
                    finally:
                        os._exit(code)
                print('as', uid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

            """
}

extension Program {
    static let all: [Program] = names + content + others + permissions + naming + times

    private static let names: [Program] = [
        Program(
            name: "create, read, remove",
            text: """
                write('a', b'hello')
                print(read('a')); show('a')
                attempt(os.open, 'a', os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                attempt(os.open, 'missing', os.O_RDONLY)
                attempt(os.mkdir, 'a')
                attempt(os.listdir, 'a')
                attempt(os.open, 'a/b', os.O_RDONLY)
                os.mkdir('d'); show('.'); show('d')
                attempt(os.unlink, 'd')
                attempt(os.rmdir, 'a')
                write('d/x', b'1')
                attempt(os.rmdir, 'd')
                os.unlink('d/x'); os.rmdir('d'); os.unlink('a')
                print(sorted(os.listdir('.')))
                attempt(os.stat, 'a')
                """
        ),
        Program(
            name: "rename, no-replace, exchange",
            text: """
                def rename2(a, b, flags):
                    return c('renameat2', -100, a.encode(), -100, b.encode(), flags)
                write('a', b'A'); write('b', b'B'); os.mkdir('d'); os.mkdir('e'); write('e/f', b'F')
                attempt(rename2, 'a', 'b', 1)
                attempt(rename2, 'a', 'b', 2); print(read('a'), read('b'))
                attempt(rename2, 'a', 'd', 2); print(os.path.isdir('a'), read('d'))
                attempt(rename2, 'a', 'missing', 2)
                attempt(rename2, 'd', 'a', 2)
                attempt(os.rename, 'a', 'b'); print(sorted(os.listdir('.')), read('b'))
                attempt(os.rename, 'b', 'd')
                attempt(os.rename, 'd', 'b')
                attempt(os.rename, 'd', 'e')
                attempt(os.rename, 'e', 'e/g')
                attempt(os.rename, 'e', 'd'); print(read('d/f')); show('.')
                attempt(os.rename, 'd/f', 'f2'); attempt(os.rename, 'missing', 'x')
                os.link('f2', 'f3'); attempt(os.rename, 'f2', 'f3'); print(sorted(os.listdir('.')))
                attempt(rename2, 'f2', 'f4', 8)
                """
        ),
        Program(
            name: "links",
            text: """
                write('a', b'one'); os.link('a', 'b'); show('a'); show('b')
                print(os.stat('a').st_ino == os.stat('b').st_ino)
                write('b', b'two'); print(read('a'))
                os.unlink('a'); show('b')
                attempt(os.link, 'b', 'b'); os.mkdir('d'); attempt(os.link, 'd', 'd2')
                os.symlink('b', 's'); print(os.readlink('s'), read('s')); show('s')
                os.symlink('../x/' + 'y' * 200, 'long'); print(os.readlink('long'))
                os.symlink('nowhere', 'n'); attempt(os.stat, 'n'); attempt(os.readlink, 'b')
                os.symlink('loop', 'loop'); attempt(os.stat, 'loop')
                """
        ),
        Program(
            name: "odd names",
            text: """
                write(b'\\xff\\xfe raw', b'1'); write('with\\nline', b'2'); write('ü' * 100, b'3')
                print(sorted(os.listdir(b'.')))
                attempt(os.open, 'x' * 255, os.O_CREAT); attempt(os.open, 'x' * 256, os.O_CREAT)
                attempt(os.mkdir, 'y' * 256); attempt(os.mkdir, '.'); attempt(os.mkdir, '..')
                attempt(os.rename, '.', 'z'); attempt(os.rmdir, '.')
                print(os.stat('..').st_ino == os.stat('../.').st_ino)
                os.makedirs('p/q/r'); print(os.stat('p/q/r/../..').st_ino == os.stat('p').st_ino)
                print([e for e in ('.', '..') if e in os.listdir('p')])
                """
        ),
        Program(
            name: "other kinds of inode",
            text: """
                os.mkfifo('f', 0o640); show('f')
                os.mknod('c', 0o600 | stat.S_IFCHR, os.makedev(1, 3)); show('c')
                print(os.major(os.lstat('c').st_rdev), os.minor(os.lstat('c').st_rdev))
                os.mknod('s', 0o600 | stat.S_IFSOCK); show('s')
                os.mknod('r', 0o600); show('r')
                """
        ),
        Program(
            name: "a directory that changes while it is read",
            text: """
                os.mkdir('d'); os.mkdir('keep')
                for i in range(600): write(f'd/stay-{i}', b'')
                def churn():
                    for i in range(600):
                        write(f'd/new-{i}', b''); os.unlink(f'd/new-{i}')
                thread = threading.Thread(target=churn); thread.start()
                worst = 600
                for _ in range(10):
                    names = [e.name for e in os.scandir('d')]
                    stays = [n for n in names if n.startswith('stay-')]
                    assert len(stays) == len(set(stays))
                    worst = min(worst, len(stays))
                thread.join()
                print(worst, len(os.listdir('d')))
                with os.scandir('d') as entries:
                    for entry in entries: os.unlink('d/' + entry.name)
                print(os.listdir('d')); os.rmdir('d')
                """
        ),
        Program(
            name: "umask, owners, permissions",
            text: """
                os.umask(0o027); write('a', b'x'); os.mkdir('d'); show('a'); show('d')
                os.umask(0); os.mkdir('open', 0o777)
                write('secret', b's'); os.chmod('secret', 0o600)
                os.chmod('.', 0o777)
                def user():
                    attempt(os.open, 'secret', os.O_RDONLY)
                    attempt(os.mkdir, 'd/x'); attempt(os.listdir, 'd')
                    write('open/mine', b'm'); show('open/mine')
                    attempt(os.chmod, 'secret', 0o777); attempt(os.chown, 'open/mine', 0, 0)
                    attempt(os.unlink, 'secret')
                as_user(65534, user)
                os.mkdir('sticky'); os.chmod('sticky', 0o1777); write('sticky/root', b'')
                as_user(65534, lambda: attempt(os.unlink, 'sticky/root'))
                os.mkdir('g'); os.chown('g', 0, 4242); os.chmod('g', 0o2777)
                def inherits(): write('g/f', b''); os.mkdir('g/h'); show('g/f'); show('g/h')
                as_user(65534, inherits)
                """
        ),
        Program(
            name: "set-id bits",
            text: """
                write('f', b'12345'); os.chmod('.', 0o777)
                def bits(): print(oct(os.stat('f').st_mode))
                def reset(mode=0o6777): os.chown('f', 65534, 65534); os.chmod('f', mode); bits()
                reset(); os.chown('f', 1, 1); bits()
                reset(); os.chown('f', -1, -1); bits()
                reset(); as_user(65534, lambda: write('f', b'67890')); bits()
                reset(); as_user(65534, lambda: os.truncate('f', 2)); bits()
                def append():
                    fd = os.open('f', os.O_WRONLY | os.O_APPEND); os.write(fd, b'z'); os.close(fd)
                reset(); as_user(65534, append); bits()
                reset(0o6767); as_user(65534, append); bits()
                reset(); append(); bits()
                """
        ),
    ]

    private static let content: [Program] = [
        Program(
            name: "writes at random places",
            text: """
                random.seed(7); model = bytearray()
                fd = os.open('f', os.O_RDWR | os.O_CREAT)
                for step in range(400):
                    kind = random.randrange(6); at = random.randrange(3_000_000)
                    if kind < 3:
                        data = random.randbytes(random.choice([1, 100, 4096, 70_000]))
                        os.pwrite(fd, data, at)
                        model.extend(bytes(max(0, at + len(data) - len(model))))
                        model[at:at + len(data)] = data
                    elif kind == 3:
                        os.ftruncate(fd, at)
                        if at < len(model): del model[at:]
                        else: model.extend(bytes(at - len(model)))
                    elif kind == 4:
                        count = random.randrange(200_000)
                        assert os.pread(fd, count, at) == bytes(model[at:at + count]), step
                    else: os.fsync(fd)
                os.close(fd)
                print(read('f') == bytes(model), os.stat('f').st_size == len(model))
                """
        ),
        Program(
            name: "append, truncate, sparse",
            text: """
                for i in range(5):
                    with open('a', 'ab') as file: file.write(b'%d' % i)
                print(read('a'))
                fds = [os.open('a', os.O_WRONLY | os.O_APPEND) for _ in range(3)]
                for fd in fds: os.write(fd, b'x'); os.write(fd, b'y')
                print(read('a')); os.truncate('a', 3); print(read('a'))
                os.truncate('a', 6); print(read('a'))
                os.close(os.open('a', os.O_WRONLY | os.O_TRUNC)); show('a')
                fd = os.open('s', os.O_RDWR | os.O_CREAT); os.pwrite(fd, b'end', 5 << 30); show('s')
                print(os.pread(fd, 4, 1 << 30), os.pread(fd, 10, (5 << 30)))
                attempt(os.lseek, fd, -1, os.SEEK_SET)
                os.close(fd); attempt(os.write, fds[0], b'') ; attempt(os.truncate, 's', -1)
                """
        ),
        Program(
            name: "mapped memory",
            text: """
                fd = os.open('m', os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 3 << 20)
                one = mmap.mmap(fd, 3 << 20); two = mmap.mmap(fd, 3 << 20)
                one[1_500_000:1_500_005] = b'hello'
                print(two[1_500_000:1_500_005], os.pread(fd, 5, 1_500_000))
                os.pwrite(fd, b'WRITE', 10); print(one[10:15])
                one.flush(); os.ftruncate(fd, 1 << 20)
                print(two[10:15]); one.close(); two.close(); os.close(fd)
                data = read('m'); print(len(data), data[10:15], data.count(0))
                """
        ),
        Program(
            name: "fallocate",
            text: """
                KEEP, PUNCH, ZERO, COLLAPSE = 1, 2, 0x10, 8
                fd = os.open('f', os.O_RDWR | os.O_CREAT)
                def fallocate(mode, at, count):
                    return c('fallocate', fd, mode, ctypes.c_long(at), ctypes.c_long(count))
                attempt(fallocate, 0, 0, 100_000); show('f')
                attempt(fallocate, KEEP, 0, 500_000); show('f')
                os.pwrite(fd, b'x' * 3_000_000, 0)
                attempt(fallocate, PUNCH | KEEP, 4096, 1_500_000)
                attempt(fallocate, ZERO, 2_500_000, 1_000_000); show('f')
                attempt(fallocate, ZERO | KEEP, 3_400_000, 1_000_000); show('f')
                attempt(fallocate, PUNCH | KEEP, 10_000_000, 5)
                data = os.pread(fd, 4_000_000, 0)
                print(len(data), data.count(b'x'), data.index(0), data[:4096] == b'x' * 4096)
                attempt(fallocate, PUNCH, 0, 5); attempt(fallocate, 0, 0, 0)
                """
        ),
        Program(
            name: "copy_file_range",
            text: """
                data = random.Random(3).randbytes(2_500_000); write('a', data)
                a = os.open('a', os.O_RDWR); b = os.open('b', os.O_RDWR | os.O_CREAT)
                done = 0
                while done < 2_000_000:
                    done += os.copy_file_range(a, b, 2_000_000 - done, 100 + done, 7 + done)
                copied = os.pread(b, 3_000_000, 0)
                print(os.fstat(b).st_size, copied == bytes(7) + data[100:2_000_100])
                print(os.copy_file_range(a, b, 10, 5_000_000, 0))
                os.pwrite(a, b'fresh', 0); os.copy_file_range(a, b, 5, 0, 0)
                print(os.pread(b, 5, 0))
                os.sendfile(b, a, 0, 1000); print(os.fstat(b).st_size)
                """
        ),
        Program(
            name: "an unlinked open file lives on",
            text: """
                fd = os.open('u', os.O_RDWR | os.O_CREAT); os.write(fd, b'before'); os.unlink('u')
                os.write(fd, b' after'); os.fsync(fd)
                print(os.pread(fd, 20, 0), os.fstat(fd).st_nlink)
                os.ftruncate(fd, 3); print(os.fstat(fd).st_size)
                attempt(os.stat, 'u'); write('u', b'other')
                print(os.pread(fd, 20, 0), read('u'))
                os.mkdir('d'); d = os.open('d', os.O_RDONLY); os.rmdir('d'); print(os.listdir(d))
                os.rename('u', 'v'); w = os.open('v', os.O_RDONLY)
                write('x', b'new'); os.rename('x', 'v')
                print(os.pread(w, 9, 0), read('v'))
                """
        ),
    ]

    private static let others: [Program] = [
        Program(
            name: "extended attributes",
            text: """
                write('f', b'')
                os.setxattr('f', 'user.one', b'1'); os.setxattr('f', 'user.two', b'2' * 2000)
                print(os.getxattr('f', 'user.one'), len(os.getxattr('f', 'user.two')))
                print(sorted(os.listxattr('f')))
                attempt(os.setxattr, 'f', 'user.one', b'x', os.XATTR_CREATE)
                attempt(os.setxattr, 'f', 'user.three', b'x', os.XATTR_REPLACE)
                attempt(os.setxattr, 'f', 'user.one', b'9', os.XATTR_REPLACE)
                print(os.getxattr('f', 'user.one'))
                attempt(os.getxattr, 'f', 'user.missing')
                attempt(os.removexattr, 'f', 'user.missing')
                attempt(os.removexattr, 'f', 'user.one'); print(os.listxattr('f'))
                os.setxattr('f', 'user.empty', b''); print(os.getxattr('f', 'user.empty'))
                os.setxattr('f', 'trusted.t', b'\\x00\\xff'); print(os.getxattr('f', 'trusted.t'))
                buffer = ctypes.create_string_buffer(10)
                def short(): return c('getxattr', b'f', b'user.two', buffer, 10)
                attempt(short); os.mkdir('d')
                os.setxattr('d', 'user.d', b'd'); print(os.listxattr('d'))
                """
        ),
        Program(
            name: "times",
            text: """
                write('f', b'1'); os.utime('f', ns=(1_000_000_001, 2_000_000_002))
                s = os.stat('f'); print(s.st_atime_ns, s.st_mtime_ns)
                old = os.stat('f').st_ctime_ns; time.sleep(0.02); os.chmod('f', 0o600)
                print(os.stat('f').st_ctime_ns > old)
                print(os.stat('f').st_mtime_ns)
                with open('f', 'ab') as file: file.write(b'2')
                print(os.stat('f').st_mtime_ns > 2_000_000_002)
                fd = os.open('f', os.O_RDWR); os.write(fd, b'zz')
                os.utime(fd, ns=(5, 7)); os.close(fd)
                print(os.stat('f').st_mtime_ns)
                os.utime('f', ns=(-5_000_000_000, 4_000_000_000_000_000_000))
                s = os.stat('f'); print(s.st_atime_ns, s.st_mtime_ns)
                os.utime('.', ns=(9, 9)); write('g', b'')
                print(os.stat('.').st_mtime_ns > 9)
                os.utime('.', ns=(9, 9)); os.unlink('g')
                print(os.stat('.').st_mtime_ns > 9)
                os.symlink('x', 's'); os.utime('s', ns=(3, 4), follow_symlinks=False)
                print(os.lstat('s').st_mtime_ns)
                """
        ),
        Program(
            name: "locks",
            text: """
                write('f', b'x' * 100); fd = os.open('f', os.O_RDWR)
                def child(body):
                    sys.stdout.flush()
                    pid = os.fork()
                    if pid == 0:
                        other = os.open('f', os.O_RDWR)
                        attempt(body, other); sys.stdout.flush(); os._exit(0)
                    os.waitpid(pid, 0)
                TRY = fcntl.LOCK_EX | fcntl.LOCK_NB
                def whole(other): return fcntl.flock(other, TRY)
                def low(other): return fcntl.lockf(other, TRY, 10, 0)
                def high(other): return fcntl.lockf(other, TRY, 10, 50)
                fcntl.flock(fd, fcntl.LOCK_EX); child(whole)
                fcntl.flock(fd, fcntl.LOCK_UN); child(whole)
                fcntl.lockf(fd, fcntl.LOCK_EX, 20, 0); child(low); child(high)
                """
        ),
        Program(
            name: "file handles",
            text: """
                os.makedirs('a/b'); write('a/b/f', b'by handle')
                handle = struct.pack('Ii', 128, 0) + bytes(128)
                buffer = ctypes.create_string_buffer(handle)
                mount = ctypes.c_int()
                c('name_to_handle_at', -100, b'a/b/f', buffer, ctypes.byref(mount), 0)
                top = os.open('.', os.O_RDONLY)
                fd = c('open_by_handle_at', top, buffer, os.O_RDONLY)
                print(os.read(fd, 20))
                """
        ),
    ]
}
