// Programs about names: files without one, renaming, limits, listings.

extension Program {
    static let naming: [Program] = [
        Program(
            name: "files without a name",
            text: """
                def link(fd, name):
                    c('linkat', -100, f'/proc/self/fd/{fd}'.encode(), -100, name.encode(), 0x400)
                for flags in (os.O_RDWR, os.O_WRONLY):
                    fd = os.open('.', os.O_TMPFILE | flags, 0o640)
                    os.write(fd, b'hello'); s = os.fstat(fd)
                    print(oct(s.st_mode), s.st_nlink, s.st_size)
                    print(os.listdir('.')); os.close(fd)
                attempt(os.open, '.', os.O_TMPFILE | os.O_RDONLY)
                attempt(os.open, 'missing', os.O_TMPFILE | os.O_RDWR)
                fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o666)
                os.write(fd, b'named by its descriptor'); os.fsync(fd)
                attempt(c, 'linkat', fd, b'', -100, b'a', 0x1000); show('a'); print(read('a'))
                attempt(c, 'linkat', fd, b'', -100, b'b', 0x1000); show('b')
                os.write(fd, b', still open'); print(read('b')); os.unlink('a'); os.unlink('b')
                attempt(c, 'linkat', fd, b'', -100, b'c', 0x1000); print(os.listdir('.'))
                os.close(fd)
                fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
                os.write(fd, b'named by /proc'); os.setxattr(fd, 'user.a', b'1')
                os.fchmod(fd, 0o604)
                attempt(link, fd, 'p'); os.close(fd); show('p')
                print(read('p'))
                print(os.getxattr('p', 'user.a'))
                fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
                attempt(link, fd, 'p'); os.close(fd)
                fd = os.open('.', os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
                attempt(link, fd, 'q'); os.close(fd)
                os.mkdir('d'); os.chown('d', 0, 1005); os.chmod('d', 0o2777)
                fd = os.open('d', os.O_TMPFILE | os.O_RDWR, 0o2775)
                link(fd, 'd/x'); show('d/x')
                mapped = os.open('d', os.O_TMPFILE | os.O_RDWR); os.truncate(mapped, 10_000)
                memory = mmap.mmap(mapped, 10_000); memory[9_000] = 7
                print(os.pread(mapped, 1, 9_000)); memory.close(); os.close(mapped)
                def as_other():
                    fd = os.open('d', os.O_TMPFILE | os.O_RDWR, 0o644)
                    s = os.fstat(fd); print(s.st_uid, s.st_gid, oct(s.st_mode))
                    attempt(link, fd, 'd/mine'); show('d/mine')
                as_user(1001, as_other); print(sorted(os.listdir('.')), sorted(os.listdir('d')))
                """
        ),
        Program(
            name: "ways of renaming",
            text: """
                NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
                def rename(old, new, flags):
                    try:
                        c('renameat2', -100, old.encode(), -100, new.encode(), flags)
                        print(old, new, 'ok')
                    except OSError as error: print(old, new, flags, errno.errorcode[error.errno])
                def tree():
                    for base, folders, files in sorted(os.walk('.')):
                        s = os.lstat(base); print(base, s.st_nlink, sorted(folders), sorted(files))
                write('f', b'f'); write('g', b'g'); os.makedirs('d/sub'); os.makedirs('e/sub/deep')
                write('e/inner', b'inner'); os.symlink('f', 's'); os.mkfifo('p')
                rename('f', 'g', NOREPLACE); rename('f', 'h', NOREPLACE)
                rename('h', 'f', NOREPLACE)
                rename('f', 'missing', EXCHANGE); rename('missing', 'f', EXCHANGE)
                rename('f', 'g', EXCHANGE); print(read('f'), read('g'))
                rename('f', 'd', EXCHANGE); tree(); rename('f', 'd', EXCHANGE); tree()
                rename('s', 'e', EXCHANGE); print(os.readlink('e')); rename('s', 'e', EXCHANGE)
                rename('p', 'e/sub', EXCHANGE); tree(); rename('p', 'e/sub', EXCHANGE)
                rename('d', 'e/sub', EXCHANGE); tree()
                rename('e', 'e/sub', EXCHANGE); rename('e/sub', 'e', EXCHANGE)
                rename('e', 'e/sub/x', 0)
                rename('f', 'f', EXCHANGE); rename('f', 'f', NOREPLACE); rename('f', 'f', 0)
                os.link('f', 'same'); rename('f', 'same', 0); rename('f', 'same', EXCHANGE); tree()
                rename('f', 'white', WHITEOUT); show('f')
                print(os.lstat('f').st_rdev, read('white'))
                rename('white', 'g', WHITEOUT); show('white'); print(read('g'))
                rename('g', 'white', WHITEOUT | NOREPLACE)
                rename('g', 'fresh', WHITEOUT | NOREPLACE)
                rename('g', 'fresh', WHITEOUT | EXCHANGE)
                rename('g', 'fresh', NOREPLACE | EXCHANGE)
                rename('fresh', 'other', 8); rename('d', 'moved', WHITEOUT); tree(); show('d')
                def sticky():
                    for old, new in (('t/root', 't/x'), ('t/own', 't/root'), ('t/own', 't/y')):
                        rename(old, new, 0)
                    rename('t/y', 't/root', EXCHANGE); attempt(os.unlink, 't/root')
                    attempt(os.unlink, 't/y')
                    attempt(os.rmdir, 't/dir')
                os.mkdir('t'); os.chmod('t', 0o1777); write('t/root', b''); write('t/own', b'')
                os.mkdir('t/dir'); os.chown('t/own', 1001, 1001); as_user(1001, sticky); tree()
                """
        ),
        Program(
            name: "long names, paths and links",
            text: """
                longest = 'n' * 255
                write(longest, b'x'); attempt(os.open, 'n' * 256, os.O_CREAT | os.O_WRONLY)
                attempt(os.mkdir, 'n' * 256)
                attempt(os.rename, longest, 'm' * 256); attempt(os.link, longest, 'l' * 255)
                attempt(os.symlink, 'x', 's' * 256)
                top = os.getcwd(); depth = 0
                for _ in range(20): os.mkdir('d' * 250); os.chdir('d' * 250); depth += 1
                write('deep', b'deep'); print(read('deep'), len(os.listdir('.')))
                attempt(os.stat, top + '/' + '/'.join(['d' * 250] * 20) + '/deep')
                for _ in range(depth): os.chdir('..')
                print(os.getcwd() == top)
                os.mkdir('p'); room = 4095 - len('p/') - 1
                filler = './' * (room // 2)
                name = 'p/' + filler + 'f' * (4095 - len('p/' + filler))
                write(name, b'at the limit'); print(len(name), read(name))
                attempt(os.stat, name + 'f')
                for length in (1, 4094, 4095, 4096):
                    attempt(os.symlink, 't' * length, f's{length}')
                    if os.path.islink(f's{length}'):
                        print(os.lstat(f's{length}').st_size)
                        print(os.readlink(f's{length}') == 't' * length)
                attempt(os.symlink, '', 'empty')
                os.symlink(longest, 'to'); os.link('to', 'hard', follow_symlinks=False)
                show('hard'); print(read('hard'))
                os.link('to', 'followed', follow_symlinks=True); show('followed')
                last = '.'
                for number in range(41): os.symlink(last, f'chain{number}'); last = f'chain{number}'
                attempt(os.stat, 'chain39'); attempt(os.stat, 'chain40'); os.symlink('loop', 'loop')
                attempt(os.stat, 'loop')
                print(len(os.listdir('.')))
                """
        ),
        Program(
            name: "positions in a directory that changes",
            text: """
                libc.opendir.restype = ctypes.c_void_p; libc.readdir.restype = ctypes.c_void_p
                libc.telldir.restype = ctypes.c_long
                def entry(stream):
                    at = libc.readdir(ctypes.c_void_p(stream))
                    return ctypes.string_at(at + 19) if at else None
                def rest(stream):
                    names = []
                    while (name := entry(stream)) is not None: names.append(name)
                    return names
                stays = {b'stay%d' % n for n in range(3000)}
                goes = {b'go%d' % n for n in range(3000)}
                os.mkdir('d')
                for pair in zip(sorted(stays), sorted(goes)):
                    for name in pair: os.close(os.open(b'd/' + name, os.O_CREAT | os.O_WRONLY))
                stream = libc.opendir(b'd'); seen, marks = [], []
                while (name := entry(stream)) is not None:
                    seen.append(name)
                    if len(seen) % 7 == 0:
                        marks.append((libc.telldir(ctypes.c_void_p(stream)), len(seen)))
                    if len(seen) % 5 == 0 and goes: os.unlink(b'd/' + goes.pop())
                    if len(seen) % 5 == 1:
                        os.close(os.open(b'd/new%d' % len(seen), os.O_CREAT | os.O_WRONLY))
                print(stays <= set(seen), len(seen) == len(set(seen)), {b'.', b'..'} <= set(seen))
                # A position leads to where it was told, though entries around it have gone.
                for mark, count in marks[::37]:
                    libc.seekdir(ctypes.c_void_p(stream), ctypes.c_long(mark))
                    left = [name for name in rest(stream) if name in stays]
                    if left != [name for name in seen[count:] if name in stays]:
                        print('lost at', count)
                for name in goes: os.unlink(b'd/' + name)
                libc.rewinddir(ctypes.c_void_p(stream)); again = rest(stream)
                print(stays <= set(again), not goes & set(again), len(again) == len(set(again)))
                libc.closedir(ctypes.c_void_p(stream))
                # Each entry is removed as it is listed, as rm does.
                stream = libc.opendir(b'd')
                while (name := entry(stream)) is not None:
                    if name not in (b'.', b'..'): os.unlink(b'd/' + name)
                libc.closedir(ctypes.c_void_p(stream)); print(os.listdir('d')); os.rmdir('d')
                """
        ),
    ]
}
