import Control
import Disk
import Glibc
import Testing

/// A volume that is written on one machine and mounted with `-o ro` on another.
@Suite(.enabled(if: Machine.canMount), .serialized)
struct FollowProgramTests {
    private static let tree = """
        write('a', b'one'); write('gone', b'gone'); write('old', b'moved'); write('tail', b'1')
        os.makedirs('d/e'); os.symlink('a', 'link'); os.chmod('a', 0o640)
        write('d/big', random.Random(1).randbytes(5_000_000))
        for i in range(50): write(f'd/e/{i}', b'%d' % i)
        """

    @Test func aFollowerSeesEachHeadAndNoOldPage() throws {
        try FollowingMachines.with(prepare: Self.tree) { machines in
            let (writer, reader) = (machines.writer, machines.reader)
            try reader.mount("ro")
            #expect(try reader.follows().headVersion == nil)
            // After the first head the kernel is told of what is changed alone.
            try machines.write("write('first', b'')")
            // A program that has the tree open, cached and mapped, and goes on.
            let program = """
                big = random.Random(1).randbytes(5_000_000)
                assert read('d/big') == big and read('a') == b'one'
                gone, large = open('gone', 'rb'), open('d/big', 'rb')
                tail, folder = open('tail', 'rb'), os.open('d/e', os.O_RDONLY)
                mapped = mmap.mmap(large.fileno(), 0, prot=mmap.PROT_READ)
                assert mapped[:1000] == big[:1000] and tail.read() == b'1'
                assert len(os.listdir(folder)) == 50 and not os.path.exists('new')
                print('ready', flush=True); sys.stdin.readline()
                new = random.Random(2).randbytes(5_000_000)
                assert read('a') == b'three bytes and more', read('a')
                assert read('d/big') == new and mapped[:] == new
                os.lseek(large.fileno(), 0, 0); assert os.read(large.fileno(), 9) == new[:9]
                assert tail.read() == b'2', 'what was appended'
                assert gone.read() == b'gone', 'a file that is gone, open'
                assert not os.path.exists('gone') and not os.path.exists('old')
                assert read('new') == b'moved' and oct(os.stat('a').st_mode) == '0o100600'
                assert os.getxattr('a', 'user.mefs.state') == b'placed'
                assert os.getxattr('a', 'user.x') == b'y' and os.readlink('link2') == 'new'
                names = os.listdir(folder)
                assert len(names) == 50 and '0' not in names and 'fifty' in names, names
                assert os.listdir('d/f') == ['g'], os.listdir('d/f')
                try: write('z', b'')
                except OSError as error: assert error.errno == errno.EROFS
                else: assert False, 'it could be written'
                """
            let file = machines.world.root + "/reads.py"
            try WholeFile.replace(file, with: Array((Program.prelude + program).utf8))
            let (input, output) = (machines.world.root + "/go", machines.world.root + "/said")
            #expect(mkfifo(input, 0o600) == 0)
            let child = try ChildProcess(
                "/bin/sh",
                ["-c", "cd '\(reader.tree)' && exec python3 '\(file)' <'\(input)'"],
                output: .file(output)
            )
            defer { child.signal(SIGKILL) }
            let go = try Descriptor(opening: input, .readWrite)
            #expect(
                Self.eventually {
                    (try? WholeFile.read(output)).map { $0.starts(with: Array("ready".utf8)) }
                        ?? false
                }
            )
            try machines.write(
                """
                write('a', b'three bytes and more'); os.chmod('a', 0o600)
                os.unlink('gone'); os.rename('old', 'new'); os.symlink('new', 'link2')
                os.setxattr('a', 'user.x', b'y')
                with open('tail', 'ab') as file: file.write(b'2')
                before = os.stat('d/big')
                with open('d/big', 'r+b') as file: file.write(random.Random(2).randbytes(5_000_000))
                # Neither size nor time tells of it.
                os.utime('d/big', ns=(before.st_atime_ns, before.st_mtime_ns))
                os.unlink('d/e/0'); write('d/e/fifty', b''); os.mkdir('d/f'); write('d/f/g', b'h')
                """
            )
            try go.append(Array("\n".utf8))
            let end = child.wait(for: .seconds(60))
            let said = String(decoding: try WholeFile.read(output), as: UTF8.self)
            #expect(end == .exited(0), "\(said)")
            let shown = try reader.follows()
            #expect(shown.headVersion == (try writer.client.status().headVersion))
            #expect(shown.writer?.isEmpty == false && shown.trouble == nil)
            // One database, that of the newest head.
            #expect(try Directory.list(reader.volume + "/followed").count == 1)

            // What only older heads need is deleted; whoever reads sees the newer one by that.
            try writer.python("write('d/big', random.Random(3).randbytes(5_000_000))")
            try writer.client.sync()
            _ = try writer.client.collectGarbage(isDryRun: false)
            _ = try reader.client.dropCache()
            try reader.python("assert read('d/big') == random.Random(3).randbytes(5_000_000)")

            // Kept heads are below `.mefs`, those that were kept since too.
            try writer.mefs(["snapshot", "create", writer.tree, "--name", "then"])
            try machines.write("write('a', b'after it')")
            let kept = try reader.python(
                """
                top = '.mefs/snapshots'
                (name,) = [each for each in os.listdir(top) if each.endswith('_then')]
                print(read('a'), read(f'{top}/{name}/a'), len(os.listdir(f'{top}/{name}/d/e')))
                """
            )
            #expect(kept == "b'after it' b'three bytes and more' 50\n")

            // Nobody asks for it: it is seen within the time that keepers are asked in.
            try writer.python("write('a', b'four')")
            try writer.client.sync()
            #expect(
                Self.eventually { (try? WholeFile.read(reader.tree + "/a")) == Array("four".utf8) }
            )
            try reader.unmount()
            #expect(!WholeFile.exists(reader.volume + "/followed"))
        }
    }

    @Test func aKilledFollowerLeavesNothingAndGoesOnWithoutANetwork() throws {
        try FollowingMachines.with(prepare: Self.tree) { machines in
            let reader = machines.reader
            try reader.mount("ro")
            try machines.write("write('a', b'two')")
            try reader.kill9()
            #expect(WholeFile.exists(reader.volume + "/followed"))
            try reader.mount("ro")
            #expect(try reader.python("print(read('a'))") == "b'two'\n")
            try machines.write("write('a', b'three'); write('b', b'new')")
            #expect(try Directory.list(reader.volume + "/followed").count == 1)
            #expect(try reader.python("print(read('a'))") == "b'three'\n")

            // The daemons end with the mount that runs them.
            let pid = try machines.world.processID()
            kill(pid, SIGKILL)
            machines.world.waitForEnd(of: pid)
            #expect(throws: ControlFailure.self) { try reader.client.sync() }
            #expect(try reader.follows().trouble == "no keeper answers")
            #expect(try reader.python("print(read('a'), os.stat('b').st_size)") == "b'three' 3\n")
            try reader.unmount()
        }
    }

    @Test func aHeadThatWentBackIsRefused() throws {
        try FollowingMachines.with(prepare: Self.tree) { machines in
            let reader = machines.reader
            try reader.mount("ro")
            let before = try machines.keeperHead()
            try machines.write("write('a', b'two')")
            let after = try machines.keeperHead()
            let version = try reader.follows().headVersion

            try machines.setKeeperHead(before)
            let refused = #expect(throws: ControlFailure.self) { try reader.client.sync() }
            #expect(refused?.code == .corrupt)
            var shown = try reader.follows()
            #expect(shown.trouble?.contains("gone back behind head") == true)
            #expect(shown.headVersion == version)
            #expect(try reader.python("print(read('a'))") == "b'two'\n")

            // The next mount knows what was seen, and shows what it has.
            try reader.unmount()
            try reader.mount("ro")
            shown = try reader.follows()
            #expect(shown.trouble?.contains("gone back behind head") == true)
            #expect(try reader.python("print(read('a'))") == "b'one'\n")

            try machines.setKeeperHead(after)
            try reader.client.sync()
            #expect(try reader.follows().trouble == nil)
            #expect(try reader.python("print(read('a'))") == "b'two'\n")
            try reader.unmount()
        }
    }

    @Test func machinesThatTakeTurnsFollowEachOther() throws {
        try FollowingMachines.with(prepare: Self.tree) { machines in
            let (writer, reader) = (machines.writer, machines.reader)
            // Nothing newer is at the keeper than what this machine has, and some is only here.
            try writer.unmount()
            try writer.mount("dirty-age=3600,drain=0")
            try writer.python("write('mine', b'only here'); write('tail', b'also here')")
            try writer.stop()
            try writer.mount("ro")
            #expect(try writer.follows().headVersion == nil)
            let held = try writer.python("print(read('mine'), read('tail'))")
            #expect(held == "b'only here' b'also here'\n")

            try reader.mount("dirty-age=1")
            try reader.python("write('a', b'by the other')")
            try reader.client.sync()
            try writer.client.sync()
            // Names may be in a head whose bytes are in none.
            let seen = try writer.python(
                "print(read('a'), os.path.exists('mine') and read('mine'))"
            )
            #expect(["b'by the other' b''\n", "b'by the other' False\n"].contains(seen))
            try writer.unmount()
            try reader.unmount()

            try writer.mount("dirty-age=1")
            let kept = try Directory.list(writer.volume + "/conflicts")
            let folder = writer.volume + "/conflicts/" + (try #require(kept.first))
            #expect(try WholeFile.read(folder + "/mine") == Array("only here".utf8))
            #expect(try WholeFile.read(folder + "/tail") == Array("also here".utf8))
            try writer.unmount()
        }
    }

    private static func eventually(_ condition: () -> Bool) -> Bool {
        let end = Clock.monotonic() + .seconds(120)
        while Clock.monotonic() < end {
            if condition() { return true }
            Clock.sleep(for: .milliseconds(100))
        }
        return condition()
    }
}
