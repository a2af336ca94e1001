import Disk
import Glibc
import Testing

struct FileLockTests {
    @Test func secondLockNamesTheHolder() throws {
        try withScratch { directory in
            let path = directory + "/lock"
            let lock = try FileLock(path, note: "mounted at /mnt/a")
            let failure = #expect(throws: FileLock.Failure.self) { try FileLock(path) }
            guard case .held(let held, let holder) = failure else {
                Issue.record("not held")
                return
            }
            #expect(held == path)
            #expect(holder.pid == getpid())
            #expect(holder.note == "mounted at /mnt/a")
            #expect(FileLock.holder(of: path) == holder)
            lock.release()
        }
    }

    @Test func releasedLockCanBeTaken() throws {
        try withScratch { directory in
            let path = directory + "/lock"
            let first = try FileLock(path)
            first.release()
            first.release()
            #expect(FileLock.holder(of: path) == nil)
            _ = try FileLock(path)
            // Let go by the end of the object's life.
            _ = try FileLock(path)
        }
    }

    @Test func lockDiesWithItsProcess() async throws {
        let path = "/tmp/mefs-test-lock-\(getpid())"
        defer { unlink(path) }
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let path = "/tmp/mefs-test-lock-\(getppid())"
            let lock = try FileLock(path)
            #expect(throws: FileLock.Failure.self) { try FileLock(path) }
            kill(getpid(), SIGKILL)
            lock.release()
        }
        // The child was there, and its lock is gone.
        #expect(WholeFile.exists(path))
        #expect(FileLock.holder(of: path) == nil)
        try FileLock(path).release()
    }

    @Test func askingNeverFailsWhoTakesTheLock() throws {
        try withScratch { directory in
            let path = directory + "/lock"
            try WholeFile.replace(path, with: [])
            let isDone = Condition(false)
            let asker = try Thread.spawn("asker") {
                while !isDone.withLock({ $0 }) { _ = FileLock.holder(of: path) }
            }
            for _ in 0..<2000 { try FileLock(path).release() }
            isDone.update { $0 = true }
            asker.join()
        }
    }

    @Test func lockInAMissingDirectoryIsADiskError() throws {
        let failure = #expect(throws: FileLock.Failure.self) { try FileLock("/no/such/lock") }
        #expect(failure?.description == "cannot create /no/such/lock: No such file or directory")
    }

    @Test func noteWithNewlinesStaysOneLine() throws {
        try withScratch { directory in
            let lock = try FileLock(directory + "/lock", note: "a\nb")
            #expect(FileLock.holder(of: lock.path)?.note == "a b")
            lock.release()
        }
    }
}
