import Disk
import Glibc
import Mount
import Primitives
import Testing
import Volume

/// Trees of the past below `.mefs/snapshots`.
@Suite(.enabled(if: Machine.canMount), .serialized)
struct SnapshotSemanticsTests {
    /// A tree with one of everything.
    private static let tree = """
        os.makedirs('d/e'); write('d/f', bytes_of(3_000_001)); write('d/e/small', b'small')
        write('empty', b''); os.symlink('d/f', 'l'); os.link('d/f', 'hard'); os.mkfifo('fifo')
        fd = make('sparse'); os.ftruncate(fd, 9_000_000); os.pwrite(fd, b'x' * 70_000, 5_000_000)
        os.close(fd); os.setxattr('d/f', 'user.colour', b'red'); os.chmod('d/f', 0o4751)
        os.chown('d/e/small', 7, 8); os.utime('d', ns=(5, 1_000_000_007)); os.mkdir('many')
        for number in range(700): write(f'many/{number:04}', b'%d' % number)
        time.sleep(0.01)

        """

    /// What can be seen of a tree but its numbers.
    private static let seen = """
        def seen(root):
            result = {}
            for folder, folders, files in os.walk(root):
                for name in ['.'] + folders + files:
                    path = os.path.join(folder, name); s = os.lstat(path)
                    kind = stat.S_IFMT(s.st_mode); inside = None
                    if kind == stat.S_IFREG: inside = read(path)
                    if kind == stat.S_IFLNK: inside = os.readlink(path)
                    xattrs = () if kind != stat.S_IFREG else tuple(
                        (x, os.getxattr(path, x)) for x in sorted(os.listxattr(path)))
                    key = os.path.relpath(path, root)
                    links = s.st_nlink
                    result[key] = (s.st_mode, links, s.st_uid, s.st_gid, s.st_size, s.st_mtime_ns,
                                   s.st_ctime_ns, inside, xattrs, s.st_ino & (1 << 48) - 1)
            return result

        """

    @Test("snapshot-1") func aTreeStaysAsItWas() throws {
        try SnapshotMount.with { mount in
            try mount.runs(Self.tree)
            try mount.keep(1)
            try mount.runs(
                Self.seen + """
                    import pickle
                    before = seen('.'); [then] = [f'{trees}/{name}' for name in os.listdir(trees)]
                    assert seen(then) == before and len(before) > 700
                    with open(root + '/before', 'wb') as file: pickle.dump(before, file)
                    """
            )
            try mount.shell(
                """
                mkdir ../plain/now && cp -a d empty l hard sparse many ../plain/now
                diff -r --no-dereference --exclude=fifo ../plain/now .mefs/snapshots/*
                """
            )
            try mount.runs(
                """
                write('d/f', b'new'); os.truncate('sparse', 3); os.unlink('hard'); os.unlink('l')
                os.rename('d/e/small', 'moved'); os.chmod('many', 0o700); os.unlink('many/0001')
                write('many/new', b''); os.setxattr('d/f', 'user.colour', b'blue')
                """
            )
            try mount.keep(2)
            try mount.shell("rm -rf -- *; test -z \"$(ls)\"")
            try mount.keep(3)
            _ = try mount.engine.dropCache()
            try mount.runs(
                Self.seen + """
                    import pickle
                    names = sorted(os.listdir(trees)); assert len(names) == 3, names
                    with open('/proc/sys/vm/drop_caches', 'w') as file: file.write('3')
                    with open(root + '/before', 'rb') as file: before = pickle.load(file)
                    assert seen(f'{trees}/{names[0]}') == before
                    assert read(f'{trees}/{names[1]}/moved') == b'small'
                    assert os.listdir(f'{trees}/{names[2]}') == []
                    """
            )
            try mount.shell(
                """
                cd .mefs/snapshots/2026-11-23T07-14-53Z
                diff -r --no-dereference --exclude=fifo "$OLDPWD/../plain/now" .
                """
            )
        }
    }

    @Test("snapshot-2") func nothingGoesThereThatIsNotToldTo() throws {
        try SnapshotMount.with { mount in
            try mount.runs("os.mkdir('d'); write('d/f', b'x'); write('.hidden', b'')")
            try mount.keep(1, name: "first")
            try mount.runs(
                """
                assert sorted(os.listdir('.')) == ['.hidden', 'd']
                assert [e.name for e in os.scandir('.') if e.name.startswith('.m')] == []
                assert os.listdir('.mefs') == ['snapshots'] and len(os.listdir(trees)) == 1
                assert os.stat('.mefs').st_dev == os.stat('.').st_dev
                assert os.path.samefile('.mefs/..', '.')
                assert os.path.samefile(trees + '/..', '.mefs')
                """
            )
            #expect(try mount.shell("find . | sort") == ".\n./.hidden\n./d\n./d/f\n")
            try mount.shell("rm -rf -- * .[!.]*; test -z \"$(ls -A)\"")
            #expect(try mount.shell("cat .mefs/snapshots/*_first/d/f") == "x")
            try mount.shell("! rm -rf .mefs 2>/dev/null; cat .mefs/snapshots/*_first/d/f")
        }
    }

    @Test("snapshot-3") func nothingChangesInASnapshot() throws {
        try SnapshotMount.with { mount in
            try mount.runs(Self.tree)
            try mount.keep(1)
            try mount.runs(
                Self.seen + """
                    write('live', b'live')
                    [then] = [f'{trees}/{name}' for name in os.listdir(trees)]
                    before = seen(then); file, folder = then + '/d/f', then + '/d'
                    def ro(call, *arguments, **named): fails('EROFS', call, *arguments, **named)
                    for place in (then, folder, trees, '.mefs'):
                        ro(os.mkdir, place + '/new'); ro(os.symlink, 'a', place + '/new')
                        ro(os.mknod, place + '/new'); ro(os.mkfifo, place + '/new')
                        ro(os.open, place + '/new', os.O_CREAT | os.O_WRONLY)
                        ro(os.open, place, os.O_TMPFILE | os.O_RDWR)
                        ro(os.link, 'live', place + '/new'); ro(os.rename, 'live', place + '/new')
                        ro(os.chmod, place, 0o700); ro(os.chown, place, 1, 1); ro(os.utime, place)
                        ro(os.setxattr, place, 'user.a', b'b')
                    ro(os.removexattr, file, 'user.colour'); ro(os.setxattr, file, 'user.a', b'b')
                    for flags in (os.O_WRONLY, os.O_RDWR, os.O_TRUNC, os.O_APPEND | os.O_RDWR):
                        ro(os.open, file, flags)
                    ro(os.truncate, file, 0); ro(os.chmod, file, 0); ro(os.chown, file, 1, 1)
                    ro(os.utime, file); ro(os.unlink, file); ro(os.rmdir, then + '/d/e')
                    ro(os.unlink, then + '/l'); ro(os.rename, file, folder + '/g')
                    ro(os.rename, file, 'taken'); ro(rename2, 'live', file, 2)
                    ro(os.link, file, folder + '/g'); ro(os.rmdir, then); ro(os.rmdir, trees)
                    fd = os.open(file, os.O_RDONLY); os.fsync(fd)
                    fails('EBADF', os.write, fd, b'x'); fails('EACCES', mmap.mmap, fd, 100)
                    assert seen(then) == before and read('live') == b'live'

                    def eperm(call, *arguments): fails('EPERM', call, *arguments)
                    eperm(os.rmdir, '.mefs'); eperm(os.rename, '.mefs', 'x')
                    os.mkdir('dir'); eperm(os.rename, 'dir', '.mefs')
                    eperm(rename2, 'live', '.mefs', 2)
                    fails('EEXIST', os.mkdir, '.mefs'); fails('EISDIR', os.open, '.mefs', os.O_RDWR)
                    os.mkdir('sub'); os.mkdir('sub/.mefs'); os.rmdir('sub/.mefs')
                    """
            )
        }
    }

    @Test("snapshot-4") func programsReadItAsAnyTree() throws {
        try SnapshotMount.with { mount in
            try mount.runs(
                Self.tree + """
                    import sqlite3
                    db = sqlite3.connect('base.db'); db.execute('CREATE TABLE t(a)')
                    db.executemany('INSERT INTO t VALUES(?)', [(n,) for n in range(5000)])
                    db.commit(); db.close()
                    write('run', b'#!/bin/sh\\necho ran\\n'); os.chmod('run', 0o755)
                    """
            )
            try mount.keep(1)
            try mount.shell(
                "rm -rf d many; cp -a .mefs/snapshots/*/. ../plain/; test -d ../plain/d/e"
            )
            #expect(try mount.shell(".mefs/snapshots/*/run") == "ran\n")
            #expect(try mount.shell("grep -rl small .mefs/snapshots/*/d | wc -l") == "1\n")
            try mount.shell("tar -C .mefs/snapshots/* -cf - . | tar -tf - | grep -q many/0699")
            try mount.shell(
                "cp --reflink=auto -p .mefs/snapshots/*/d/f back; cmp back .mefs/snapshots/*/d/f"
            )
            try mount.runs(
                """
                import sqlite3, fcntl
                [then] = [f'{trees}/{name}' for name in os.listdir(trees)]
                db = sqlite3.connect(f'file:{then}/base.db?mode=ro', uri=True)
                assert db.execute('SELECT SUM(a) FROM t').fetchone() == (12497500,)
                a = os.open(then + '/d/f', os.O_RDONLY); b = make('copy'); n = 0
                while True:
                    got = os.copy_file_range(a, b, 1 << 20)
                    if not got: break
                    n += got
                assert n == 3_000_001 and read('copy') == bytes_of(3_000_001)
                fails('ENOTSUP', fcntl.ioctl, b, 0x40049409, a)
                fails('EXDEV', os.link, then + '/d/f', 'linked')
                memory = mmap.mmap(a, 0, prot=mmap.PROT_READ)
                assert memory[:] == bytes_of(3_000_001)
                assert os.pread(a, 10, 2_999_999) == bytes_of(3_000_001)[2_999_999:]
                direct = os.open(then + '/d/f', os.O_RDONLY | os.O_DIRECT)
                assert os.pread(direct, 4096, 4096) == bytes_of(3_000_001)[4096:8192]
                s = os.open(then + '/sparse', os.O_RDONLY)
                assert os.lseek(s, 0, os.SEEK_DATA) == 4 << 20
                assert os.lseek(s, 5_000_000, os.SEEK_HOLE) == 5 << 20
                assert os.statvfs(then).f_namemax == 255
                fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
                assert os.getxattr(then + '/d/f', 'user.mefs.control') == b'/none'
                assert os.getxattr('.mefs', 'user.mefs.control') == b'/none'
                fails('ENODATA', os.getxattr, then + '/d/f', 'user.other')
                assert os.listxattr('.mefs') == []
                assert os.listxattr(then + '/d/f') == ['user.colour']
                # A handle leads there when the kernel has forgotten all of it.
                def handle(path):
                    buffer = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))
                    number = ctypes.c_int()
                    c('name_to_handle_at', -100, path.encode(), buffer, ctypes.byref(number), 0)
                    return buffer
                paths = [then + '/d/f', then + '/d/e', then]
                handles = [(path, os.stat(path).st_ino, handle(path)) for path in paths]
                for fd in (a, s, direct): os.close(fd)
                memory.close(); db.close(); top = os.open('.', os.O_RDONLY)
                with open('/proc/sys/vm/drop_caches', 'w') as file: file.write('3')
                for path, number, buffer in handles:
                    fd = c('open_by_handle_at', top, buffer, os.O_RDONLY)
                    assert os.fstat(fd).st_ino == number, path
                    if path == paths[0]:
                        assert os.read(fd, 9) == bytes_of(3_000_001)[:9]
                        # To a directory it leads where the way to the snapshot is known.
                        os.stat(then)
                    else: assert os.listdir(fd) == os.listdir(path)
                    os.close(fd)
                names = [name for name in os.listdir(then + '/many')]
                assert len(names) == len(set(names)) == 700
                """
            )
        }
    }

    @Test("snapshot-5") func permissionsAreThoseOfThen() throws {
        try SnapshotMount.with { mount in
            try mount.runs(
                """
                os.mkdir('closed', 0o700); write('closed/f', b'x'); write('own', b'own')
                os.chown('own', 1234, 1234); os.chmod('own', 0o600); write('all', b'all')
                write('named', b'n'); os.chmod('named', 0o640)
                os.setxattr('named', 'system.posix_acl_access', acl(
                    (USER_OBJ, 6, NOBODY), (USER, 4, 1234), (GROUP_OBJ, 0, NOBODY),
                    (MASK, 4, NOBODY), (OTHER, 0, NOBODY)))
                """
            )
            try mount.keep(1)
            // The root was closed, and is not now.
            try mount.runs("os.chmod('.', 0o700)")
            try mount.keep(2)
            try mount.runs(
                "os.chmod('.', 0o755); os.chmod('closed', 0o777); os.chmod('own', 0o666)"
            )
            for version in UInt64(3)...12 { try mount.keep(version) }
            try mount.runs(
                """
                one, two = sorted(os.listdir(trees))[:2]
                one, two = f'{trees}/{one}', f'{trees}/{two}'
                def stranger():
                    assert read(one + '/all') == b'all'
                    fails('EACCES', read, one + '/own'); fails('EACCES', read, one + '/closed/f')
                    fails('EACCES', read, one + '/named')
                    fails('EACCES', read, two + '/all'); fails('EACCES', os.listdir, two)
                become(4321, stranger)
                assert os.stat(two).st_mode & 0o777 == 0o700
                become(4321, stranger); assert read(two + '/all') == b'all'
                # However many others are opened meanwhile.
                for name in sorted(os.listdir(trees))[2:]: os.listdir(f'{trees}/{name}')
                become(4321, stranger)
                become(1234, lambda: (read(one + '/own'), read(one + '/named')))
                assert read(two + '/all') == b'all'
                """
            )
        }
    }

    @Test("snapshot-6") func snapshotsComeAndGo() throws {
        try SnapshotMount.with { mount in
            try mount.runs("assert os.listdir(trees) == []; write('f', bytes_of(9_000_000))")
            let first = try mount.keep(1)
            let second = try mount.keep(2, name: "before-upgrade")
            #expect(first.directoryName == "2026-11-23T07-14-53Z")
            try mount.runs(
                """
                assert sorted(os.listdir(trees)) == [
                    '2026-11-23T07-14-53Z', '2026-11-23T07-14-54Z_before-upgrade']
                assert os.path.samefile(trees + '/2026-11-23T07-14-54Z',
                                        trees + '/2026-11-23T07-14-54Z_before-upgrade')
                for name in ('2026-11-23T07-14-52Z', 'before-upgrade', '2', 'x'):
                    fails('ENOENT', os.stat, f'{trees}/{name}')
                """
            )
            #expect(second.directoryName.hasSuffix("_before-upgrade"))
            // To list them opens none.
            try mount.shell("ls -lR .mefs -d; ls -l .mefs/snapshots")
            #expect(!WholeFile.exists(mount.volume.root + "/snapshots"))
            // Deletes the first when the program below has read from it.
            let root = mount.volume.root
            let deleter = try Thread.spawn("deleter") {
                for _ in 0..<3000 where !WholeFile.exists(root + "/ready") {
                    Clock.sleep(for: .milliseconds(20))
                }
                mount.source.delete(1)
                mount.snapshots.trees.noteChange()
                try? WholeFile.replace(root + "/gone", with: [])
            }
            defer { deleter.join() }
            try mount.runs(
                """
                fd = os.open(trees + '/2026-11-23T07-14-53Z/f', os.O_RDONLY)
                assert os.pread(fd, 10, 0) == bytes_of(9_000_000)[:10]
                write(root + '/ready', b''); deadline = time.monotonic() + 60
                while not os.path.exists(root + '/gone'): assert time.monotonic() < deadline
                while '2026-11-23T07-14-53Z' in os.listdir(trees):
                    assert time.monotonic() < deadline
                while os.path.exists(trees + '/2026-11-23T07-14-53Z'):
                    assert time.monotonic() < deadline
                fails('ESTALE', os.pread, fd, 10, 8_000_000)
                assert os.pread(fd, 10, 0) == bytes_of(9_000_000)[:10]
                assert read(trees + '/2026-11-23T07-14-54Z/f') == bytes_of(9_000_000)
                """
            )
        }
    }

    @Test("snapshot-7") func anEntryOfTheVolumeComesFirst() throws {
        let own = { (engine: VolumeEngine, _: CopiedTrees) in
            let name = try EntryName(Array(".mefs".utf8))
            let new = NewInode(kind: .directory, mode: 0o755, uid: 0, gid: 0)
            _ = try engine.create(new, named: name, in: .root)
        }
        try SnapshotMount.with(prepare: own) { mount in
            try mount.keep(1)
            try mount.runs(
                """
                assert os.listdir('.') == ['.mefs'] and os.listdir('.mefs') == []
                write('.mefs/f', b'mine'); os.rename('.mefs', 'other'); os.mkdir('.mefs')
                assert read('other/f') == b'mine'
                """
            )
        }
    }

    @Test("snapshot-8") func oneSnapshotIsMountedAlone() throws {
        let prepare = { (engine: VolumeEngine, source: CopiedTrees) in
            for name in ["a", "b"] {
                let entry = try EntryName(Array(name.utf8))
                let new = NewInode(kind: .directory, mode: 0o755, uid: 0, gid: 0)
                _ = try engine.create(new, named: entry, in: .root)
                try source.keep(engine, version: name == "a" ? 1 : 2, name: name)
            }
        }
        let root = { (source: CopiedTrees) in
            SnapshotAdapter.Root.snapshot(try source.snapshots().named("a"))
        }
        try SnapshotMount.with(prepare: prepare, root: root) { mount in
            try mount.runs(
                """
                assert os.listdir('.') == ['a'] and os.listdir('a') == []
                assert os.stat('.').st_ino == 1 and os.path.samefile('a/..', '.')
                fails('ENOENT', os.stat, '.mefs'); fails('EROFS', os.mkdir, 'x')
                fails('EROFS', os.mkdir, '.mefs'); fails('EROFS', os.rmdir, 'a')
                assert os.statvfs('.').f_bavail == 0
                assert os.getxattr('a', 'user.mefs.control') == b'/none'
                """
            )
        }
    }
}
