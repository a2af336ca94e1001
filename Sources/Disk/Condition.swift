import Glibc

/// State under a lock, and threads that wait for it to change.
///
/// `Mutex` is the better choice where nobody waits. Keep bodies short and free of I/O and foreign
/// code: they run under the lock.
package final class Condition<State>: @unchecked Sendable {
    // SAFETY: `state` is touched only between lock and unlock of `mutex`; the two pthread objects
    // are allocated once, never move, and are freed when no method can be running.
    private var state: State
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    package init(_ state: sending State) {
        self.state = state
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        changed = .allocate(capacity: 1)
        changed.initialize(to: pthread_cond_t())
        // Timeouts must not stretch or shrink when the wall clock is set.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        changed.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Reads or changes the state without waking anybody.
    package func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state)
    }

    /// Changes the state and wakes every waiter to look at it again.
    package func update<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Asks `body` again after every change until it answers.
    ///
    /// The answer counts as a change, as `update` does: `body` may take what it waited for.
    package func wait<Result>(until body: (inout State) -> Result?) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) {
                pthread_cond_broadcast(changed)
                return result
            }
            pthread_cond_wait(changed, mutex)
        }
    }

    /// Asks `body` again after every change until it answers, or `timeout` has passed: `nil`.
    package func wait<Result>(
        for timeout: Duration,
        until body: (inout State) -> Result?
    ) -> Result? {
        var deadline = timespec(Clock.monotonic() + max(timeout, .zero))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var isOver = false
        while true {
            if let result = body(&state) {
                pthread_cond_broadcast(changed)
                return result
            }
            if isOver { return nil }
            isOver = pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT
        }
    }
}
