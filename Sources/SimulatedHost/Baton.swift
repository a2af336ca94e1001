import Glibc

/// What a parked thread waits for: a counting semaphore of the kernel, outside any simulation.
final class Baton: @unchecked Sendable {
    // SAFETY: the semaphore is made once, never moves, and is freed when nobody can wait for it;
    // its calls may be made from any thread.
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        semaphore.initialize(to: sem_t())
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func post() { sem_post(semaphore) }

    func wait() {
        while sem_wait(semaphore) == -1, errno == EINTR {}
    }

    /// Waits for about so many seconds of real time; `false` if nobody posted.
    func wait(seconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += seconds
        while sem_timedwait(semaphore, &deadline) == -1 {
            if errno != EINTR { return false }
        }
        return true
    }
}
