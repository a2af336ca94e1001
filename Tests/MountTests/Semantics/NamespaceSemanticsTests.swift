import Testing

/// Names, links, directories and what they lead to.
@Suite(.enabled(if: Machine.canMount), .serialized, .mounted())
struct NamespaceSemanticsTests {
    // MARK: rename

    @Test("rename-1") func aNameThatIsTakenOverIsNeverMissing() throws {
        try holds(
            """
            write('name', b'old')
            pid = os.fork()
            if pid == 0:
                for step in range(400): write('new', b'%06d' % step); os.rename('new', 'name')
                os._exit(0)
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                assert len(read('name')) in (3, 6); assert 'name' in os.listdir('.')
            assert read('name') == b'000399'
            """
        )
    }

    @Test("rename-2") func openFilesAndMemoryFollowTheFileAndNotItsName() throws {
        try holds(
            """
            data = bytes_of(2_000_000); fd = make('a', data); memory = mmap.mmap(fd, 2_000_000)
            write('b', b'B'); os.rename('b', 'a')
            assert os.pread(fd, 3_000_000, 0) == data == memory[:] and os.fstat(fd).st_nlink == 0
            os.pwrite(fd, b'still', 0); os.fsync(fd); drop()
            assert os.pread(fd, 5, 0) == b'still' and read('a') == b'B'
            """
        )
    }

    @Test("rename-3") func noReplaceTakesNoNameThatIsThere() throws {
        try holds(
            """
            write('a', b'A'); write('b', b'B'); NOREPLACE = 1
            fails('EEXIST', rename2, 'a', 'b', NOREPLACE); rename2('a', 'c', NOREPLACE)
            assert read('b') == b'B' and read('c') == b'A'
            # Of many that want it, one gets it.
            def want(number):
                write(f'mine-{number}', b'')
                try: rename2(f'mine-{number}', 'prize', NOREPLACE); write(f'won-{number}', b'')
                except FileExistsError: pass
            each(6, want); assert sum(name.startswith('won-') for name in os.listdir('.')) == 1
            """
        )
    }

    @Test("rename-4") func exchangeSwapsTwoNamesAtOnce() throws {
        try holds(
            """
            EXCHANGE = 2; write('a', b'A'); os.makedirs('d/e'); write('d/x', b'')
            links = os.stat('.').st_nlink
            rename2('a', 'd', EXCHANGE)
            assert os.path.isdir('a') and os.listdir('a').sort() == None and read('d') == b'A'
            assert os.stat('.').st_nlink == links and os.stat('a').st_nlink == 3
            rename2('a/e', 'd', EXCHANGE)
            assert read('a/e') == b'A' and os.stat('d/..').st_ino == os.stat('.').st_ino
            fails('ENOENT', rename2, 'a', 'missing', EXCHANGE)
            fails('EINVAL', rename2, 'a', 'a/e', EXCHANGE)
            """
        )
    }

    @Test("rename-5") func renamesThatMakeNoSenseAreRefused() throws {
        try holds(
            """
            os.makedirs('d/e'); write('f', b'F'); os.makedirs('full/x')
            fails('EINVAL', os.rename, 'd', 'd/e/g'); fails('ENOTEMPTY', os.rename, 'd', 'full')
            fails('EISDIR', os.rename, 'f', 'd'); fails('ENOTDIR', os.rename, 'd', 'f')
            fails('ENOENT', os.rename, 'missing', 'g'); fails('EINVAL', rename2, 'f', 'g', 3)
            fails('EXDEV', os.rename, 'f', '/var/tmp/mefs-semantics-never')
            os.link('f', 'same'); os.rename('f', 'same')
            assert os.path.exists('f') and os.path.exists('same')
            """
        )
    }

    // MARK: Links

    @Test("link-1") func allNamesOfAFileAreTheFile() throws {
        try holds(
            """
            fd = make('a', b'one'); os.mkdir('d'); os.link('a', 'd/b')
            os.chmod('d/b', 0o640); write('d/b', b'two')
            assert os.stat('a').st_ino == os.stat('d/b').st_ino and os.stat('a').st_nlink == 2
            assert read('a') == b'two' and os.stat('a').st_mode & 0o777 == 0o640
            os.unlink('a'); assert read('d/b') == b'two' and os.fstat(fd).st_nlink == 1
            """
        )
    }

    @Test("link-2") func directoriesHaveOneName() throws {
        try holds(
            """
            os.mkdir('d'); fails('EPERM', os.link, 'd', 'e')
            os.mkdir('d/one'); os.mkdir('d/two'); assert os.stat('d').st_nlink == 4
            os.rmdir('d/one'); assert os.stat('d').st_nlink == 3
            """
        )
    }

    @Test("link-3") func aFileMayHaveManyNames() throws {
        try holds(
            """
            write('f', b'x')
            for number in range(3500): os.link('f', f'n{number}')
            assert os.stat('f').st_nlink == 3501
            for number in range(3500): os.unlink(f'n{number}')
            assert os.stat('f').st_nlink == 1
            """
        )
    }

    @Test("symlink-1") func symbolicLinksKeepTheirTextExactly() throws {
        try holds(
            """
            for text in (b'x', b'no where', b'\\xff\\xfe/..', b'y' * 4095):
                os.symlink(text, b's'); assert os.readlink(b's') == text
                assert os.lstat('s').st_size == len(text); os.unlink('s')
            fails('ENAMETOOLONG', os.symlink, b'z' * 4096, b's')
            os.symlink('s', 's'); fails('ELOOP', os.stat, 's')
            """
        )
    }

    // MARK: Open and unlinked

    @Test("unlinked-1") func anUnlinkedFileWorksWhileItIsOpen() throws {
        try holds(
            """
            data = bytes_of(3_000_000); fd = make('f', data); os.unlink('f'); drop()
            assert os.fstat(fd).st_nlink == 0 and os.pread(fd, 4_000_000, 0) == data
            os.pwrite(fd, b'more', 3_000_000); os.fsync(fd); os.ftruncate(fd, 3_000_002)
            fallocate(fd, PUNCH | KEEP, 0, 2_000_000); os.fchmod(fd, 0o600)
            again = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
            assert os.pread(again, 4_000_000, 0) == bytes(2_000_000) + data[2_000_000:] + b'mo'
            """
        )
    }

    @Test("unlinked-2") func theSpaceOfAnUnlinkedFileIsGivenBack() throws {
        try holds(
            """
            cache = f'{root}/home/volumes/home/cache'
            def used():
                return sum(os.lstat(os.path.join(where, name)).st_blocks * 512
                           for where, _, names in os.walk(cache) for name in names)
            before = used(); fd = make('f', bytes_of(20 << 20)); os.fsync(fd)
            assert used() >= before + (20 << 20)
            os.unlink('f'); os.close(fd)
            deadline = time.monotonic() + 30
            while used() > before + (1 << 20) and time.monotonic() < deadline: time.sleep(0.02)
            assert used() <= before + (1 << 20)
            """
        )
    }

    @Test("tmpfile-1") func aFileWithoutNameGetsOneOrGoes() throws {
        try holds(
            """
            def name(fd, new):
                FOLLOW = 0x400; path = f'/proc/self/fd/{fd}'.encode()
                c('linkat', -100, path, -100, new, FOLLOW)
            fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o640); os.write(fd, b'bytes')
            assert os.listdir('.') == [] and os.fstat(fd).st_nlink == 0
            name(fd, b'f'); drop()
            assert read('f') == b'bytes' and os.stat('f').st_nlink == 1
            assert os.stat('f').st_mode & 0o777 == 0o640
            alone = os.open('.', os.O_TMPFILE | os.O_WRONLY | os.O_EXCL, 0o600)
            fails('ENOENT', name, alone, b'g'); assert os.listdir('.') == ['f']
            """
        )
    }

    // MARK: Directories

    @Test("readdir-1") func whatStaysIsListedOnceWhateverHappensBeside() throws {
        try holds(
            """
            os.mkdir('d'); stays = {f'stay-{n}' for n in range(2000)}
            for name in stays: write('d/' + name, b'')
            pid = os.fork()
            if pid == 0:
                while True:
                    for n in range(50): write(f'd/new-{n}', b'')
                    for n in range(50): os.rename(f'd/new-{n}', f'd/other-{n}')
                    for n in range(50): os.unlink(f'd/other-{n}')
            for _ in range(8):
                listed = [name for name in os.listdir('d') if name.startswith('stay-')]
                assert len(listed) == len(stays) and set(listed) == stays
            os.kill(pid, 9); os.waitpid(pid, 0)
            """
        )
    }

    @Test("readdir-2") func aPlaceInAListingStaysValid() throws {
        try holds(
            """
            os.mkdir('d')
            for n in range(300): write(f'd/{n}', b'')
            class Entry(ctypes.Structure):
                _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64),
                            ('len', ctypes.c_ushort), ('type', ctypes.c_ubyte),
                            ('name', ctypes.c_char * 256)]
            libc.fdopendir.restype = ctypes.c_void_p; libc.fdopendir.argtypes = [ctypes.c_int]
            libc.readdir.restype = ctypes.POINTER(Entry); libc.readdir.argtypes = [ctypes.c_void_p]
            libc.telldir.restype = ctypes.c_long; libc.telldir.argtypes = [ctypes.c_void_p]
            libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
            listing = libc.fdopendir(os.open('d', os.O_RDONLY)); places = []
            while True:
                at = libc.telldir(listing); entry = libc.readdir(listing)
                if not entry: break
                places.append((at, entry.contents.name))
            assert len(places) == 302 and all(0 <= at < 1 << 31 for at, _ in places)
            for n in range(0, 300, 3): os.unlink(f'd/{n}')
            for n in range(300): write(f'd/new-{n}', b'')
            gone = {b'%d' % n for n in range(0, 300, 3)}
            for at, name in places:
                if name in gone: continue
                libc.seekdir(listing, at); assert libc.readdir(listing).contents.name == name
            """
        )
    }

    @Test("readdir-3") func aDirectoryMayBeEmptiedWhileItIsListed() throws {
        try holds(
            """
            os.mkdir('d')
            for n in range(3000): write(f'd/{n}', b'')
            with os.scandir('d') as entries:
                for entry in entries: os.unlink(entry.path)
            assert os.listdir('d') == []; os.rmdir('d')
            """
        )
    }

    @Test("readdir-4") func aListingBegunAnewShowsWhatIsThereNow() throws {
        try holds(
            """
            os.mkdir('d'); fd = os.open('d', os.O_RDONLY); assert os.listdir(fd) == []
            for step in range(50):
                write(f'd/{step}', b''); assert f'{step}' in os.listdir(fd)
                os.unlink(f'd/{step}'); assert os.listdir(fd) == []
            os.rmdir('d'); assert os.listdir(fd) == []
            fails('ENOENT', os.open, 'x', os.O_CREAT, dir_fd=fd)
            """
        )
    }

    // MARK: Names and numbers

    @Test("names-1") func aNameIsUpTo255BytesOfAnyKind() throws {
        try holds(
            """
            names = [b'x' * 255, b'\\xff\\xfe', b'new\\nline', b'A', b'a', 'e\\u0301'.encode(),
                     '\\u00e9'.encode(), b' ', b'-rf', b'...']
            for name in names: write(name, name)
            assert sorted(os.listdir(b'.')) == sorted(names)
            assert all(read(name) == name for name in names)
            fails('ENAMETOOLONG', os.mkdir, 'y' * 256)
            """
        )
    }

    @Test("names-2") func pathsMayBeAsLongAsTheKernelTakes() throws {
        try holds(
            """
            for _ in range(200): os.mkdir('n' * 250); os.chdir('n' * 250)
            write('deep', b'down'); assert read('deep') == b'down'
            path = '/'.join(['p' * 99] * 35); os.makedirs(path); write(path + '/f', b'x')
            assert read(path + '/f') == b'x'
            """
        )
    }

    @Test("inode-1") func inodeNumbersStayAndAreNotGivenTwice() throws {
        try holds(
            """
            write('a', b''); number = os.stat('a').st_ino
            os.rename('a', 'b'); os.link('b', 'c'); os.unlink('b'); drop()
            assert os.stat('c').st_ino == number
            seen = {number}
            for _ in range(200):
                write('x', b''); assert os.stat('x').st_ino not in seen
                seen.add(os.stat('x').st_ino); os.unlink('x')
            """
        )
    }

    @Test("special-1") func pipesAndSocketsWork() throws {
        try holds(
            """
            import socket
            os.mkfifo('pipe', 0o600)
            def send(_):
                with open('pipe', 'wb') as pipe: pipe.write(b'through')
            pid = os.fork()
            if pid == 0: send(0); os._exit(0)
            with open('pipe', 'rb') as pipe: assert pipe.read() == b'through'
            os.waitpid(pid, 0)
            server = socket.socket(socket.AF_UNIX); server.bind('s'); server.listen()
            client = socket.socket(socket.AF_UNIX); client.connect('s')
            server.accept()[0].send(b'hi'); assert client.recv(2) == b'hi'
            """
        )
    }

    @Test("special-2") func deviceNodesAreKeptAndOpenOnlyIfTheMountAllows() throws {
        try holds(
            """
            os.mknod('null', 0o600 | stat.S_IFCHR, os.makedev(1, 3))
            assert os.stat('null').st_rdev == os.makedev(1, 3)
            fails('EACCES', os.open, 'null', os.O_RDONLY)
            subprocess.run(['mount', '-i', '-o', 'remount,dev', root + '/mnt'], check=True)
            os.close(os.open('null', os.O_RDONLY))
            """
        )
    }

    @Test("handle-1") func fileHandlesOpenTheFileWhateverItIsCalled() throws {
        try holds(
            """
            os.makedirs('a/b'); write('a/b/f', b'by handle')
            buffer = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))
            mount = ctypes.c_int()
            c('name_to_handle_at', -100, b'a/b/f', buffer, ctypes.byref(mount), 0)
            os.rename('a/b/f', 'g'); drop()
            fd = c('open_by_handle_at', os.open('.', os.O_RDONLY), buffer, os.O_RDONLY)
            assert os.read(fd, 20) == b'by handle'
            os.close(fd); os.unlink('g')
            top = os.open('.', os.O_RDONLY)
            # The last close tells the mount when it is over.
            while True:
                try: os.close(c('open_by_handle_at', top, buffer, os.O_RDONLY))
                except OSError as error: assert error.errno == errno.ESTALE; break
            """
        )
    }

    @Test("notify-1") func watchersHearOfChangesThatProgramsMakeHere() throws {
        try holds(
            """
            watch = c('inotify_init1', 0)
            c('inotify_add_watch', watch, b'.', 0x100 | 0x200 | 0x8)
            write('f', b'x'); os.unlink('f'); events = os.read(watch, 4096); masks = []
            while events:
                _, mask, _, length = struct.unpack('iIII', events[:16])
                masks.append(mask); events = events[16 + length:]
            assert masks == [0x100, 0x8, 0x200]
            """
        )
    }
}
