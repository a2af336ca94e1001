import Disk
import Testing

@Suite(.enabled(if: Machine.canMount), .serialized)
struct ProgramTests {
    /// Each program in a fresh directory of one mount, and of the local disk.
    @Test func programsSeeWhatTheySeeOnALocalDisk() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            for (index, program) in Program.all.enumerated() {
                try volume.compare(program, "\(index)")
            }
            let ended = try volume.unmount()
            #expect(ended.code == 0, "\(ended.output)")
        }
    }

    /// The same where requests are told apart from those for snapshots.
    @Test func programsSeeTheSameBesideSnapshots() throws {
        try SnapshotMount.with { mount in
            for (index, program) in Program.all.enumerated() {
                try mount.volume.compare(program, "\(index)")
                if index == 0 { try mount.keep(1) }
            }
        }
    }

    /// The kernel writes nothing back before it asks for data or holes.
    @Test func seekSeesWhatIsNotWrittenBackYet() throws {
        try MountedVolume.with { volume in
            try volume.mount()
            let ended = try volume.python(
                Program.prelude + """
                    fd = os.open('f', os.O_RDWR | os.O_CREAT)
                    for size in (1, 5000, 300_000, 3_000_000):
                        os.pwrite(fd, b'x' * size, 0)
                        assert os.lseek(fd, 0, os.SEEK_DATA) == 0
                        assert os.lseek(fd, size - 1, os.SEEK_DATA) == size - 1
                        assert os.lseek(fd, 0, os.SEEK_HOLE) == size, size
                        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
                            try: os.lseek(fd, size, whence); assert False
                            except OSError as error: assert error.errno == errno.ENXIO
                    # Data far away is found past a hole, and nothing of it is skipped.
                    os.pwrite(fd, b'far', 50 << 20)
                    at = os.lseek(fd, 10 << 20, os.SEEK_DATA)
                    assert 10 << 20 < at <= 50 << 20, at
                    assert os.pread(fd, 3, 50 << 20) == b'far'
                    memory = mmap.mmap(fd, 50 << 20); memory[20 << 20] = 1
                    assert os.lseek(fd, 10 << 20, os.SEEK_DATA) <= 20 << 20
                    # Many at once, each of which makes the kernel write back.
                    def worker(number):
                        own = os.open(f'w{number}', os.O_RDWR | os.O_CREAT)
                        for step in range(1, 30):
                            os.write(own, b'y' * 10_000)
                            assert os.lseek(own, 0, os.SEEK_HOLE) == step * 10_000
                            os.lseek(own, 0, os.SEEK_END)
                    threads = [threading.Thread(target=worker, args=(n,)) for n in range(12)]
                    for thread in threads: thread.start()
                    for thread in threads: thread.join()
                    print('done')
                    """,
                in: volume.mountPoint
            )
            #expect(ended.code == 0 && ended.output == "done\n", "\(ended.output)")
        }
    }
}

extension MountedVolume {
    /// Runs a program in a fresh directory of the mount, and of the local disk.
    fileprivate func compare(_ program: Program, _ name: String) throws {
        var outputs: [String] = []
        for place in [plain, mountPoint] {
            let directory = "\(place)/\(name)"
            try Directory.make(directory, permissions: 0o755)
            let ended = try python(Program.prelude + program.text, in: directory)
            #expect(ended.code == 0, "\(program.name) in \(place): \(ended.output)")
            outputs.append(ended.output)
        }
        #expect(outputs[1] == outputs[0], "\(program.name): mount, then local disk")
    }
}
