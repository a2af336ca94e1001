package import Disk
import Glibc

/// Threads that may block, and a bounded queue of what they are to do.
///
/// Each job wakes one thread; a shared `Condition` would wake them all. When the queue is full,
/// `run` waits: that is how the kernel learns to send less.
// SAFETY: everything mutable is touched only between lock and unlock of `mutex`; the pthread
// objects never move and are freed after the threads were joined or never started.
package final class BlockingPool: @unchecked Sendable {
    /// What a thread of the pool is to do; may block.
    package typealias Job = @Sendable () -> Void

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let work: UnsafeMutablePointer<pthread_cond_t>
    private let room: UnsafeMutablePointer<pthread_cond_t>
    /// Jobs waiting, oldest at `first`; the slots before it are empty.
    private var jobs: [Job?] = []
    private var first = 0
    private var isClosed = false
    private var threads: [Thread] = []

    package let queueMax: Int

    /// Starts the threads; up to `queueMax` jobs may wait for one.
    ///
    /// - Throws: what keeps a thread from being started.
    package init(_ name: String, threadCount: Int, queueMax: Int) throws(DiskError) {
        self.queueMax = queueMax
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        work = .allocate(capacity: 1)
        work.initialize(to: pthread_cond_t())
        pthread_cond_init(work, nil)
        room = .allocate(capacity: 1)
        room.initialize(to: pthread_cond_t())
        pthread_cond_init(room, nil)
        for index in 0..<threadCount {
            // The threads hold the pool until `close`.
            threads.append(try Thread.spawn("\(name)-\(index)") { self.serve() })
        }
    }

    deinit {
        pthread_cond_destroy(room)
        room.deallocate()
        pthread_cond_destroy(work)
        work.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Queues a job, waiting for room; a job that comes after `close` is dropped.
    package func run(_ job: @escaping Job) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while waiting >= queueMax, !isClosed { pthread_cond_wait(room, mutex) }
        guard !isClosed else { return }
        jobs.append(job)
        pthread_cond_signal(work)
    }

    /// Queues a job if there is room now; else drops it.
    package func tryRun(_ job: @escaping Job) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard waiting < queueMax, !isClosed else { return false }
        jobs.append(job)
        pthread_cond_signal(work)
        return true
    }

    /// Lets the threads finish what is queued, and waits for them.
    package func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        let ending = threads
        threads = []
        pthread_cond_broadcast(work)
        pthread_cond_broadcast(room)
        pthread_mutex_unlock(mutex)
        for thread in ending { thread.join() }
    }

    private var waiting: Int { jobs.count - first }

    private func serve() {
        while let job = next() { job() }
    }

    /// The oldest job, waiting for one; `nil` once closed and empty.
    private func next() -> Job? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while waiting == 0 {
            if isClosed { return nil }
            pthread_cond_wait(work, mutex)
        }
        let job = jobs[first]
        jobs[first] = nil
        first += 1
        if first > queueMax {
            jobs.removeFirst(first)
            first = 0
        }
        pthread_cond_signal(room)
        return job
    }
}
