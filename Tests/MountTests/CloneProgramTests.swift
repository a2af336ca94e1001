import Control
import Disk
import Glibc
import Testing

/// `mefs clone` on a real mount: the real programs.
@Suite(.enabled(if: Machine.canMount), .serialized)
struct CloneProgramTests {
    /// A tree with one of everything, and what can be seen of one.
    private static let tree =
        Program.prelude + """
            def make(root):
                os.makedirs(root + '/d/e')
                write(root + '/d/f', random.Random(1).randbytes(3_000_001))
                write(root + '/d/e/small', b'small'); write(root + '/empty', b'')
                os.symlink('d/f', root + '/l'); os.link(root + '/d/f', root + '/hard')
                os.mkfifo(root + '/fifo'); os.mknod(root + '/null', 0o20666, os.makedev(1, 3))
                with open(root + '/sparse', 'wb') as file:
                    file.truncate(9_000_000); file.seek(5_000_000); file.write(b'x' * 70_000)
                os.setxattr(root + '/d/f', 'user.colour', b'red'); os.chmod(root + '/d/f', 0o4751)
                os.setxattr(root + '/d', 'system.posix_acl_default', acl)
                os.chown(root + '/d/e/small', 7, 8); os.mkdir(root + '/many')
                for i in range(300): write(f'{root}/many/{i}', b'%d' % i)
                for folder, folders, files in os.walk(root, topdown=False):
                    for name in files + ['.']:
                        os.utime(os.path.join(folder, name), ns=(5_000_000_001, 1_000_000_007),
                                 follow_symlinks=False)
            acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in [
                (1, 7, 0xffffffff), (2, 5, 7), (4, 5, 0xffffffff), (16, 7, 0xffffffff),
                (32, 0, 0xffffffff)])
            def seen(root):
                result = {}
                for folder, folders, files in os.walk(root):
                    for name in ['.'] + folders + files:
                        path = os.path.join(folder, name); s = os.lstat(path)
                        kind = stat.S_IFMT(s.st_mode); inside = None
                        if kind == stat.S_IFREG: inside = read(path)
                        if kind == stat.S_IFLNK: inside = os.readlink(path)
                        xattrs = () if kind == stat.S_IFLNK else tuple(
                            (x, os.getxattr(path, x)) for x in sorted(os.listxattr(path))
                            if not x.startswith('user.mefs.'))
                        result[os.path.relpath(path, root)] = (
                            s.st_mode, s.st_nlink, s.st_uid, s.st_gid, s.st_size, s.st_rdev,
                            s.st_mtime_ns, inside, xattrs)
                return result
            def differences(one, two):
                one, two = seen(one), seen(two)
                return [key for key in sorted(set(one) | set(two)) if one.get(key) != two.get(key)]

            """

    private func runs(
        _ program: String,
        on volume: MountedVolume,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let ended = try volume.python(
            Self.tree + program,
            in: volume.mountPoint,
            [Machine.programs + "/mefs"]
        )
        #expect(ended.code == 0, "\(ended.output)", sourceLocation: sourceLocation)
    }

    @discardableResult
    private func clone(
        _ source: String,
        _ destination: String,
        on volume: MountedVolume,
        code: ExitCode = .ok,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let ended = try volume.mefs([
            "clone", "\(volume.mountPoint)/\(source)", "\(volume.mountPoint)/\(destination)",
            "--json",
        ])
        #expect(ended.code == code.rawValue, "\(ended.output)", sourceLocation: sourceLocation)
        return ended.output
    }

    /// Bytes of the shards that the six providers have on their disks.
    private func stored(_ volume: MountedVolume) throws -> UInt64 {
        let uploaded = try ControlClient(path: volume.socket).status()
        return uploaded.providers.reduce(0) { $0 + $1.usedBytes }
    }

    @Test func aClonedTreeIsTheSameAndThenItsOwn() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            // The kernel knows that there is no such name, and what is in the root.
            try runs(
                """
                assert not os.path.exists('c') and not os.path.exists('c/d'); print(os.listdir('.'))
                make('a'); print(os.listdir('.'))
                """,
                on: volume
            )
            let report = try clone("a", "c", on: volume)
            #expect(report.contains(#""directories":4"#) && report.contains(#""failed":0"#))
            try runs(
                """
                assert differences('a', 'c') == [] and sorted(os.listdir('.')) == ['a', 'c']
                assert os.stat('.').st_nlink == 4
                number = lambda path: os.stat(path).st_ino
                assert number('c/d/f') == number('c/hard') != number('a/hard')
                assert os.stat('c/sparse').st_blocks < 6000
                """,
                on: volume
            )
            let client = try ControlClient(path: volume.socket)
            try client.sync()
            _ = try client.dropCache()
            let before = try client.status().uploadedBytesTotal
            let (heldBefore, fetched) = (try stored(volume), try client.status())
            try clone("a", "c2", on: volume)
            try clone("a/d/f", "f", on: volume)
            let after = try client.status()
            // No more than a head of new names.
            #expect(after.uploadedBytesTotal - before < 200_000)
            #expect(try stored(volume) - heldBefore < 400_000)
            #expect(after.downloadedBytesTotal == fetched.downloadedBytesTotal)

            try runs(
                """
                with open('a/d/f', 'r+b') as file: file.seek(1_000_000); file.write(b'a')
                with open('c/d/f', 'r+b') as file: file.seek(2_000_000); file.write(b'c')
                os.truncate('f', 1_500_000); os.unlink('c/many/7'); write('c/many/new', b'n')
                os.chmod('c/d/e/small', 0o600); os.setxattr('c/d/f', 'user.colour', b'blue')
                assert differences('a', 'c2') == ['d/f', 'hard']
                """,
                on: volume
            )
            #expect(try volume.unmount().code == 0)
            #expect(try volume.mefs(["fsck", "--deep", "home"]).output.contains("nothing wrong"))
            let drill = try volume.mefs(["recover", "--drill", "home", "--sample", "1000"])
            #expect(drill.code == 0, "\(drill.output)")

            // From the providers alone; then the source goes, and what only it needed.
            try volume.mount()
            _ = try ControlClient(path: volume.socket).dropCache()
            try runs(
                """
                import shutil
                whole = random.Random(1).randbytes(3_000_001)
                assert read('c2/d/f') == whole and read('f') == whole[:1_500_000]
                assert read('a/d/f') == whole[:1_000_000] + b'a' + whole[1_000_001:]
                assert read('c/hard') == whole[:2_000_000] + b'c' + whole[2_000_001:]
                make('b'); assert differences('b', 'c2') == []
                shutil.rmtree('a'); shutil.rmtree('b'); shutil.rmtree('c')
                """,
                on: volume
            )
            try ControlClient(path: volume.socket).sync()
            #expect(try volume.mefs(["gc", volume.mountPoint]).code == 0)
            _ = try ControlClient(path: volume.socket).dropCache()
            try runs("make('b'); assert differences('b', 'c2') == []", on: volume)
            #expect(try volume.unmount().code == 0)
            let checked = try volume.mefs(["fsck", "--deep", "home"])
            #expect(checked.code == 0, "\(checked.output)")
        }
    }

    @Test func aTreeOfASnapshotComesBackAtOnce() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            try runs("make('a')", on: volume)
            let kept = try volume.mefs(["snapshot", "create", volume.mountPoint, "--name", "one"])
            #expect(kept.code == 0, "\(kept.output)")
            // Twice a head without it, so that only the snapshot keeps its bytes.
            for _ in 0..<2 {
                try runs("os.system('rm -rf a'); write('x', os.urandom(9))", on: volume)
                try ControlClient(path: volume.socket).sync()
            }
            #expect(try volume.mefs(["gc", volume.mountPoint]).code == 0)
            try runs(
                """
                [one] = ['.mefs/snapshots/' + name for name in os.listdir('.mefs/snapshots')]
                def clone(*places):
                    return os.spawnv(os.P_WAIT, sys.argv[1], ['mefs', 'clone', *places])
                assert clone(one + '/a', 'back') == 0 and differences(one + '/a', 'back') == []
                assert clone(one, 'all') == 0 and differences(one, 'all') == []
                assert clone(one + '/a/d/f', 'f') == 0
                assert clone('.mefs', 'g') == clone('.mefs/snapshots', 'g') == 2
                assert clone('f', one + '/g') == clone('f', '.mefs/snapshots/g') == 2
                """,
                on: volume
            )
            let gone = try volume.mefs(["snapshot", "delete", volume.mountPoint, "one"])
            #expect(gone.code == 0, "\(gone.output)")
            try ControlClient(path: volume.socket).sync()
            #expect(try volume.mefs(["gc", volume.mountPoint]).code == 0)
            _ = try ControlClient(path: volume.socket).dropCache()
            try runs(
                """
                make('b'); assert differences('b', 'back') == differences('b', 'all/a') == []
                """,
                on: volume
            )
            #expect(try volume.unmount().code == 0)
            let checked = try volume.mefs(["fsck", "--deep", "home"])
            #expect(checked.code == 0, "\(checked.output)")
        }
    }

    @Test func whatCannotBeIsRefused() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            try runs("make('a'); write('x', b'x')", on: volume)
            #expect(try clone("a", "a/d/in", on: volume, code: .usage).contains("into itself"))
            #expect(try clone("a", "x", on: volume, code: .already).contains("exists"))
            try clone("missing", "y", on: volume, code: .notFound)
            try clone("x", "missing/y", on: volume, code: .notFound)
            let outside = try volume.mefs(["clone", "/etc/passwd", volume.mountPoint + "/y"])
            #expect(outside.code == ExitCode.usage.rawValue, "\(outside.output)")
            try runs("assert sorted(os.listdir('.')) == ['a', 'x']", on: volume)
            try clone("x", ".mefs", on: volume, code: .already)
            #expect(try volume.unmount().code == 0)
            try volume.mount(["-o", "ro"])
            try clone("x", "y", on: volume, code: .failed)
            #expect(try volume.unmount().code == 0)
        }
    }

    /// What is there of a tree when the mount is killed can be used, and the volume is whole.
    @Test func aKilledCloneLeavesAPartOfWholeFiles() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            try runs(
                """
                for i in range(3000):
                    if i % 100 == 0: os.makedirs(f'a/{i // 100}')
                    write(f'a/{i // 100}/{i}', b'%d' % i)
                """,
                on: volume
            )
            try ControlClient(path: volume.socket).sync()
            let child = try ChildProcess(
                "/usr/bin/env",
                [
                    "MEFS_HOME=\(volume.home)", Machine.programs + "/mefs", "clone",
                    volume.mountPoint + "/a", volume.mountPoint + "/c",
                ],
                output: .file(volume.root + "/cloned")
            )
            // As soon as some of it is there.
            for _ in 0..<2000 where !WholeFile.exists(volume.mountPoint + "/c/1") {
                Clock.sleep(for: .milliseconds(1))
            }
            try volume.kill9()
            _ = child.wait()
            umount2(volume.mountPoint, Int32(MNT_DETACH))
            try volume.mount()
            _ = try ControlClient(path: volume.socket).dropCache()
            try runs(
                """
                import shutil
                for folder, _, names in os.walk('c'):
                    for name in names: assert read(f'{folder}/{name}') == name.encode(), name
                assert len(os.listdir('a')) == 30
                if os.path.exists('c'): shutil.rmtree('c')
                """,
                on: volume
            )
            #expect(try volume.unmount().code == 0)
            let checked = try volume.mefs(["fsck", "--deep", "home"])
            #expect(checked.code == 0, "\(checked.output)")
        }
    }
}
