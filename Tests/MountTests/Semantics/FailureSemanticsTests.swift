import Control
import Disk
import Glibc
import Synchronization
import Testing

/// Providers that are gone, frozen, or back again.
@Suite(.enabled(if: Machine.canMount), .serialized, .mounted("epoch=3600"))
struct ProviderSemanticsTests {
    @Test("provider-1") func twoOfSixProvidersMayBeGone() throws {
        let story = try Story()
        try story.runs("make('f', bytes_of(5_000_000)); drop()")
        try story.volume.without(providers: 1...2) {
            try story.runs("assert read('f') == bytes_of(5_000_000)")
        }
    }

    @Test("provider-2") func withTooFewProvidersAReadIsAnErrorAndNeverOtherBytes() throws {
        let story = try Story()
        try story.runs(
            "write('f', bytes_of(900_000)); write('cached', b'here'); drop(); read('cached')"
        )
        try story.volume.without(providers: 1...3) {
            try story.runs("fails('EIO', read, 'f'); assert read('cached') == b'here'")
        }
        try story.runs(
            """
            while True:
                try: data = read('f')
                except OSError: continue
                assert data == bytes_of(900_000); break
            """
        )
    }

    @Test("provider-3") func writingAndSyncingWaitForNoProvider() throws {
        let story = try Story()
        try story.volume.frozen(providers: 1...6) {
            try story.runs(
                """
                began = time.monotonic(); fd = make('f', bytes_of(5_000_000)); os.fsync(fd)
                os.close(fd); os.rename('f', 'g'); os.fsync(os.open('.', os.O_RDONLY)); os.sync()
                assert read('g') == bytes_of(5_000_000) and time.monotonic() - began < 2.5
                assert os.getxattr('g', 'user.mefs.state') in (b'local', b'placing 0/6')
                """
            )
        }
        try story.runs("drop(); assert read('g') == bytes_of(5_000_000)")
    }

    @Test("provider-4") func killedProvidersLoseNothingThatTheyAcknowledged() throws {
        let story = try Story()
        try story.volume.without(providers: 1...6) {
            try story.runs(
                """
                for step in range(4):
                    fd = make(f'f{step}', bytes_of(6_000_000, step)); os.fsync(fd); time.sleep(0.1)
                """
            )
        }
        try story.runs(
            "drop(); assert all(read(f'f{n}') == bytes_of(6_000_000, n) for n in range(4))"
        )
    }
}

/// A cache on a disk of 48 MiB.
@Suite(.enabled(if: Machine.canMount), .serialized, .mounted(prepare: SmallDisk.forCache))
struct FullDiskSemanticsTests {
    @Test("enospc-1") func whatDoesNotFitIsToldByWriteFsyncOrClose() throws {
        let story = try Story()
        try story.volume.frozen(providers: 1...6) {
            try story.runs(
                """
                told = []; fd = make('f')
                direct = os.open('g', os.O_CREAT | os.O_WRONLY | os.O_DIRECT)
                def attempt_(call, *arguments):
                    try: call(*arguments)
                    except OSError as error: told.append(errno.errorcode[error.errno])
                for step in range(80): attempt_(os.write, fd, bytes_of(1 << 20, step))
                attempt_(os.fsync, fd); attempt_(os.close, fd); assert set(told) == {'ENOSPC'}, told
                told = []; attempt_(os.write, direct, bytes(1 << 20)); assert told == ['ENOSPC']
                os.unlink('f')
                """
            )
        }
    }

    @Test("enospc-2") func whatWasSyncedBeforeIsHarmedByNothingThatFails() throws {
        let story = try Story()
        try story.volume.frozen(providers: 1...6) {
            try story.runs(
                """
                kept = make('kept', bytes_of(5_000_000)); os.fsync(kept); fd = make('f')
                try:
                    for step in range(80): os.write(fd, bytes(1 << 20))
                    os.fsync(fd)
                except OSError as error: assert error.errno == errno.ENOSPC
                else: raise AssertionError('it cannot fit')
                assert read('kept') == bytes_of(5_000_000)
                # Names, attributes and removal need no room of the cache.
                os.mkdir('d'); os.rename('kept', 'd/k'); os.setxattr('d/k', 'user.a', b'1')
                os.ftruncate(fd, 0); os.unlink('f'); os.close(fd)
                fd = make('again', bytes_of(5_000_000, 2)); os.fsync(fd)
                assert read('again') == bytes_of(5_000_000, 2)
                assert read('d/k') == bytes_of(5_000_000)
                os.unlink('again')
                """
            )
        }
    }

    @Test("enospc-3") func figuresOfTheProvidersPromiseNoRoomHere() throws {
        try holds(
            """
            figures = os.statvfs('.'); cache = os.statvfs(root + '/home/volumes/home/cache')
            assert figures.f_bavail * figures.f_frsize > cache.f_blocks * cache.f_frsize
            """
        )
    }

    @Test("enospc-4") func whatIsPlacedMakesRoomOnAFullDisk() throws {
        try holds(
            """
            for step in range(12):
                fd = make(f'f{step}', bytes_of(10 << 20, step))
                while True:
                    try: os.fsync(fd); break
                    except OSError as error: assert error.errno == errno.ENOSPC
                    os.pwrite(fd, bytes_of(10 << 20, step), 0)
                os.close(fd)
            assert all(read(f'f{step}') == bytes_of(10 << 20, step) for step in range(12))
            """
        )
    }
}

/// A cache on a disk that fails writes.
@Suite(
    .enabled(if: Machine.canMount && SmallDisk.canLoop),
    .serialized,
    .mounted(prepare: SmallDisk.forFailingCache)
)
struct FailingDiskSemanticsTests {
    @Test("eio-1") func aFailingCacheDiskIsToldAndHarmsNothingThatWasPlaced() throws {
        let story = try Story()
        try story.runs(
            """
            make('placed', bytes_of(3_000_000)); place()
            subprocess.run(['dd', 'if=/dev/zero', 'of=' + root + '/small/filler', 'bs=1M'],
                           stderr=subprocess.DEVNULL)
            fd = make('f'); told = None
            try:
                for step in range(20): os.pwrite(fd, bytes_of(1 << 20, step), step << 20)
                os.fsync(fd)
            except OSError as error: told = error.errno
            assert told in (errno.EIO, errno.EROFS, errno.ENOSPC), told
            os.unlink(root + '/small/filler')
            """
        )
        try story.volume.kill9()
        // Back on a disk that works, and empty.
        try story.volume.takesCacheDiskAway()
        try story.volume.mount(["-o", "discard-lost"])
        try story.runs("assert read('placed') == bytes_of(3_000_000)")
    }
}
