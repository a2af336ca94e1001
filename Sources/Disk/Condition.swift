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
        lock(Simulation.current)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state)
    }

    /// Changes the state and wakes every waiter to look at it again.
    package func update<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        if let kernel = Simulation.current { return try update(kernel, body) }
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
        if let kernel = Simulation.current {
            while true {
                if let result = wait(kernel, deadline: nil, body) { return result }
            }
        }
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
        let end = Clock.monotonic() + max(timeout, .zero)
        if let kernel = Simulation.current { return wait(kernel, deadline: end, body) }
        var deadline = timespec(end)
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

    // MARK: Simulation

    @inline(__always)
    private func lock(_ kernel: (any SimulatedKernel)?) {
        guard let kernel else {
            pthread_mutex_lock(mutex)
            return
        }
        // Only one simulated thread runs at a time, so who holds it is one that was switched away
        // from inside a body: let it go on.
        while pthread_mutex_trylock(mutex) != 0 { kernel.yield() }
    }

    private func update<Result, Failure: Error>(
        _ kernel: any SimulatedKernel,
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        lock(kernel)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
            tellChange(kernel)
        }
        return try body(&state)
    }

    private func tellChange(_ kernel: any SimulatedKernel) {
        kernel.wake(ObjectIdentifier(self))
        kernel.yield()
    }

    /// Waits in virtual time; `nil` if the deadline came first.
    private func wait<Result>(
        _ kernel: any SimulatedKernel,
        deadline: Duration?,
        _ body: (inout State) -> Result?
    ) -> Result? {
        var isOver = false
        while true {
            lock(kernel)
            let result = body(&state)
            if result != nil { pthread_cond_broadcast(changed) }
            pthread_mutex_unlock(mutex)
            if let result {
                tellChange(kernel)
                return result
            }
            if isOver { return nil }
            isOver = !kernel.block(on: ObjectIdentifier(self), of: State.self, until: deadline)
        }
    }
}
