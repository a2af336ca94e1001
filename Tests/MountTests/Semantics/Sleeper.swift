import Disk
import Glibc
import Testing

/// This process as a program that keeps the file `f` of a story open, and locked.
struct Sleeper: ~Copyable {
    private let fd: Int32

    init(in story: Story) throws {
        fd = open(story.path + "/f", O_RDWR | O_CLOEXEC)
        try #require(fd >= 0, "f cannot be opened")
        try #require(flock(fd, LOCK_EX | LOCK_NB) == 0, "f cannot be locked")
    }

    deinit { close(fd) }

    /// The errno of a synced write to the file; 0 if it succeeds.
    func errorOfSyncedWrite() -> Int32 {
        pwrite(fd, "x", 1, 0) < 0 || fsync(fd) < 0 ? errno : 0
    }

    /// The errno of a read from the file that goes to the mount; 0 if it succeeds.
    func errorOfStatistics() -> Int32 {
        var figures = statvfs()
        return fstatvfs(fd, &figures) < 0 ? errno : 0
    }
}
