import Testing

/// Bytes of files; the cache is so small that what is placed leaves it.
@Suite(.enabled(if: Machine.canMount), .serialized, .mounted("epoch=3600,cache-size=64M"))
struct ContentSemanticsTests {
    // MARK: write and read

    @Test("write-1") func readsSeeEveryEarlierWrite() throws {
        try holds(
            """
            fd = make('f', b'a' * 10_000); os.link('f', 'g')
            os.pwrite(fd, b'new', 5000)
            def look(_): assert read('g')[5000:5003] == b'new'
            each(1, look)
            other = os.open('g', os.O_RDWR | os.O_DIRECT)
            assert os.pread(other, 3, 5000) == b'new'
            os.pwrite(other, b'direct', 7000); assert os.pread(fd, 6, 7000) == b'direct'
            """
        )
    }

    @Test("write-2") func writesToOnePlaceDoNotMix() throws {
        try holds(
            """
            size = 300_000; make('f', bytes(size))
            def write_over(number):
                fd = os.open('f', os.O_WRONLY)
                for _ in range(40): assert os.pwrite(fd, bytes([65 + number]) * size, 0) == size
            each(3, write_over)
            assert len(set(read('f'))) == 1
            """
        )
    }

    @Test("write-3") func aGapReadsAsZeros() throws {
        try holds(
            """
            fd = make('f', b'x'); os.pwrite(fd, b'end', 5 << 20); drop()
            data = read('f')
            assert data == b'x' + bytes((5 << 20) - 1) + b'end'
            assert os.pread(fd, 10, 6 << 20) == b''
            """
        )
    }

    @Test("write-4") func aFileHasAtMost2To53Bytes() throws {
        try holds(
            """
            fd = make('f'); most = 1 << 53
            os.ftruncate(fd, most); assert os.fstat(fd).st_size == most
            assert os.pread(fd, 5, most - 5) == bytes(5)
            fails('EFBIG', os.ftruncate, fd, most + 1)
            fails('EFBIG', fallocate, fd, 0, most, 1)
            direct = os.open('f', os.O_WRONLY | os.O_DIRECT)
            fails('EFBIG', os.pwrite, direct, b'x', most)
            def writes(): os.pwrite(fd, b'x', most); os.fsync(fd)
            fails('EFBIG', writes)
            """
        )
    }

    @Test("write-5") func aSlowNetworkSlowsWritersAndFailsNone() throws {
        // More than the cache holds: what is placed makes room while the writer goes on.
        try holds(
            """
            fd = make('f')
            for number in range(100):
                assert os.write(fd, bytes_of(1 << 20, number)) == 1 << 20
            os.close(fd); fd = os.open('f', os.O_RDONLY)
            for number in range(100): assert os.read(fd, 1 << 20) == bytes_of(1 << 20, number)
            """
        )
    }

    @Test("read-1") func whatLeftTheCacheComesBackAsItWas() throws {
        try holds(
            """
            data = bytes_of(6_500_000); make('f', data)
            place(); assert os.getxattr('f', 'user.mefs.state').startswith((b'placed', b'proved'))
            drop(); assert read('f') == data
            drop(); fd = os.open('f', os.O_RDWR); os.pwrite(fd, b'change', 3_000_000)
            assert read('f') == data[:3_000_000] + b'change' + data[3_000_006:]
            """
        )
    }

    @Test("append-1") func appendedRecordsAreWholeAndNoneIsLost() throws {
        try holds(
            """
            make('f')
            def append(number):
                fd = os.open('f', os.O_WRONLY | os.O_APPEND)
                for step in range(100): os.write(fd, b'%02d%04d' % (number, step) + b'.' * 994)
            each(4, append)
            data = read('f'); assert len(data) == 400_000
            records = {data[at:at + 1000] for at in range(0, 400_000, 1000)}
            assert records == {b'%02d%04d' % (n, s) + b'.' * 994 for n in range(4)
                               for s in range(100)}
            """
        )
    }

    @Test("append-2") func anAppendingDescriptorAppendsWhereverItIsToldToWrite() throws {
        try holds(
            """
            make('f', b'12345'); fd = os.open('f', os.O_RDWR | os.O_APPEND)
            os.pwrite(fd, b'6', 0); assert read('f') == b'123456'
            direct = os.open('f', os.O_WRONLY | os.O_APPEND | os.O_DIRECT)
            os.write(direct, b'7'); os.write(fd, b'8'); os.write(direct, b'9')
            assert read('f') == b'123456789'
            """
        )
    }

    @Test("direct-1") func directInputAndOutputMayBeOfAnyAlignment() throws {
        try holds(
            """
            fd = os.open('f', os.O_RDWR | os.O_CREAT | os.O_DIRECT)
            data = bytes_of(1_234_567)
            assert os.pwrite(fd, data, 77) == len(data)
            assert os.pread(fd, 100, 1000) == data[923:1023]
            assert read('f') == bytes(77) + data
            """
        )
    }

    @Test("direct-2") func directAndCachedInputAndOutputSeeEachOther() throws {
        try holds(
            """
            cached = make('f', b'a' * 8192); direct = os.open('f', os.O_RDWR | os.O_DIRECT)
            memory = mmap.mmap(cached, 8192)
            for step in range(50):
                os.pwrite(cached, b'%04d' % step, 100)
                assert os.pread(direct, 4, 100) == b'%04d' % step
                os.pwrite(direct, b'%05d' % step, 4500)
                assert os.pread(cached, 5, 4500) == b'%05d' % step
                assert memory[4500:4505] == b'%05d' % step
                memory[200:204] = b'%04d' % step
                assert os.pread(direct, 4, 200) == b'%04d' % step
            """
        )
    }

    // MARK: Space

    @Test("truncate-1") func whatIsCutOffIsZerosWhenTheFileGrowsAgain() throws {
        try holds(
            """
            fd = make('f', bytes_of(3_000_000)); drop()
            os.ftruncate(fd, 1_500_001); os.ftruncate(fd, 3_000_000)
            expected = bytes_of(3_000_000)[:1_500_001] + bytes(1_499_999)
            assert read('f') == expected; drop(); assert read('f') == expected
            """
        )
    }

    @Test("fallocate-1") func allocatingMakesTheFileLongerAndChangesNoByte() throws {
        try holds(
            """
            fd = make('f', b'abc'); fallocate(fd, 0, 1, 2_000_000)
            assert read('f') == b'abc' + bytes(1_999_998)
            fallocate(fd, 0, 0, 10); assert os.fstat(fd).st_size == 2_000_001
            """
        )
    }

    @Test("fallocate-2") func keepingTheSizeLeavesTheFileAsItIs() throws {
        try holds(
            """
            fd = make('f', b'abc'); fallocate(fd, KEEP, 0, 2_000_000)
            assert os.fstat(fd).st_size == 3 and read('f') == b'abc'
            """
        )
    }

    @Test("fallocate-3") func allocatingReservesNothing() throws {
        // Sixteen times the cache, and more than any disk of the network has.
        try holds(
            """
            fd = make('f'); fallocate(fd, 0, 0, 1 << 50)
            assert os.fstat(fd).st_size == 1 << 50 and os.fstat(fd).st_blocks < 1 << 20
            """
        )
    }

    @Test("fallocate-4") func aPunchedHoleReadsAsZerosForEverybody() throws {
        try holds(
            """
            data = bytes_of(4_000_000); fd = make('f', data); drop()
            other = os.open('f', os.O_RDWR); os.pread(other, 4_000_000, 0)
            memory = mmap.mmap(other, 4_000_000); memory[2_000_000] = 7
            fallocate(fd, PUNCH | KEEP, 1_000_001, 2_500_000)
            expected = data[:1_000_001] + bytes(2_500_000) + data[3_500_001:]
            assert memory[:] == expected and os.pread(other, 5_000_000, 0) == expected
            drop(); assert read('f') == expected
            """
        )
    }

    @Test("fallocate-5") func zeroedRangesReadAsZerosForEverybody() throws {
        try holds(
            """
            data = bytes_of(3_000_000); fd = make('f', data); drop()
            memory = mmap.mmap(fd, 3_000_000); memory[1_000_000] = 7
            fallocate(fd, ZERO | KEEP, 500_001, 5_000_000)
            assert memory[:] == data[:500_001] + bytes(2_499_999)
            fallocate(fd, ZERO, 400_000, 5_000_000)
            assert read('f') == data[:400_000] + bytes(5_000_000)
            """
        )
    }

    @Test("fallocate-6") func otherModesAreRefused() throws {
        try holds(
            """
            fd = make('f', b'x' * 100_000)
            for mode in (PUNCH, COLLAPSE, INSERT, UNSHARE, UNSHARE | KEEP, 4, 0x80):
                fails('ENOTSUP', fallocate, fd, mode, 4096, 4096)
            fails('EINVAL', fallocate, fd, 0, 0, 0); fails('EINVAL', fallocate, fd, 0, -1, 5)
            assert read('f') == b'x' * 100_000
            """
        )
    }

    @Test("copy-1") func copiedRangesAreWhatReadingAndWritingWouldGive() throws {
        try holds(
            """
            data = bytes_of(5_000_000); a = make('a', data); b = make('b', b'z' * 100); drop()
            os.pwrite(a, b'fresh', 1_000_000); memory = mmap.mmap(a, 5_000_000)
            memory[2_000_000:2_000_005] = b'mmapd'; seen = mmap.mmap(b, 100)
            done = 0
            while done < 3_000_000:
                done += os.copy_file_range(a, b, 3_000_000 - done, done, 7 + done)
            expected = bytearray(data[:3_000_000]); expected[1_000_000:1_000_005] = b'fresh'
            expected[2_000_000:2_000_005] = b'mmapd'
            assert read('b') == b'z' * 7 + bytes(expected)
            assert seen[7:100] == bytes(expected[:93])
            """
        )
    }

    @Test("copy-2") func aCopyEndsAtTheEndOfItsSource() throws {
        try holds(
            """
            a = make('a', b'12345'); b = make('b')
            assert os.copy_file_range(a, b, 100, 2, 0) == 3 and read('b') == b'345'
            assert os.copy_file_range(a, b, 100, 5, 0) == 0
            fails('EINVAL', os.copy_file_range, a, a, 3, 0, 1)
            assert os.copy_file_range(a, a, 2, 0, 5) == 2 and read('a') == b'1234512'
            """
        )
    }

    @Test("seek-1") func dataIsNeverTakenForAHole() throws {
        try holds(
            """
            fd = make('f'); os.ftruncate(fd, 200 << 20); rng = random.Random(5)
            places = sorted(rng.randrange(200 << 20) for _ in range(20))
            for place_ in places: os.pwrite(fd, b'x', place_)
            def found():
                at = end = 0
                while True:
                    try: at = os.lseek(fd, end, os.SEEK_DATA)
                    except OSError as error: assert error.errno == errno.ENXIO; return
                    end = os.lseek(fd, at, os.SEEK_HOLE); yield at, end
            for _ in range(2):
                ranges = list(found())
                assert all(any(a <= p < b for a, b in ranges) for p in places)
                assert sum(b - a for a, b in ranges) <= 20 << 20
                drop()
            """
        )
    }

    @Test("seek-2") func theEndIsAHoleAndNothingLiesPastIt() throws {
        try holds(
            """
            fd = make('f', b'x' * 5000)
            assert os.lseek(fd, 0, os.SEEK_DATA) == 0 and os.lseek(fd, 0, os.SEEK_HOLE) == 5000
            for whence in (os.SEEK_DATA, os.SEEK_HOLE): fails('ENXIO', os.lseek, fd, 5000, whence)
            """
        )
    }

    // MARK: Mapped memory

    @Test("mmap-1") func sharedMemoryAndWritesSeeEachOther() throws {
        try holds(
            """
            fd = make('f', bytes(3 << 20)); one = mmap.mmap(fd, 3 << 20)
            other = os.open('f', os.O_RDWR); two = mmap.mmap(other, 3 << 20)
            one[2_000_000:2_000_005] = b'hello'
            assert two[2_000_000:2_000_005] == os.pread(other, 5, 2_000_000) == b'hello'
            os.pwrite(other, b'write', 10); assert one[10:15] == b'write'
            def child(_): two[20:25] = b'child'
            each(1, child); assert os.pread(fd, 5, 20) == b'child'
            """
        )
    }

    @Test("mmap-2") func privateMemoryIsNeverWrittenBack() throws {
        try holds(
            """
            fd = make('f', b'a' * 5000)
            memory = mmap.mmap(fd, 5000, flags=mmap.MAP_PRIVATE); memory[0:3] = b'own'
            memory.close(); os.fsync(fd); drop(); assert read('f') == b'a' * 5000
            """
        )
    }

    @Test("mmap-3") func touchingMemoryPastTheEndOfTheFileIsABusError() throws {
        try holds(
            """
            fd = make('f', b'a' * 10_000); memory = mmap.mmap(fd, 10_000)
            os.ftruncate(fd, 5000); assert memory[4999] == 97 and memory[5000] == 0
            pid = os.fork()
            if pid == 0: memory[9000]; os._exit(0)
            assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGBUS
            """
        )
    }

    @Test("mmap-4") func programsRunFromTheMount() throws {
        try holds(
            """
            with open('/bin/sleep', 'rb') as file: write('sleep', file.read())
            os.chmod('sleep', 0o755); drop()
            child = subprocess.Popen(['./sleep', '60'])
            fails('ETXTBSY', os.open, 'sleep', os.O_WRONLY)
            child.kill(); child.wait(); os.close(os.open('sleep', os.O_WRONLY))
            """
        )
    }
}
