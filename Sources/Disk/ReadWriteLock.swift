import Glibc

/// A value behind a POSIX read-write lock: many readers or one writer.
///
/// `Mutex` would serialise readers of one file's cached bytes, and these copy up to a megabyte
/// each while they hold the lock. See `man 3 pthread_rwlock_rdlock`.
package final class ReadWriteLock<Value: Sendable>: @unchecked Sendable {
    // SAFETY: `value` is touched only between lock and unlock of `lock`, which lives as long as
    // this object and is never copied.
    private let lock: UnsafeMutablePointer<pthread_rwlock_t>
    private var value: Value

    package init(_ value: Value) {
        self.value = value
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_rwlock_t())
        let status = pthread_rwlock_init(lock, nil)
        precondition(status == 0, "pthread_rwlock_init failed: \(status)")
    }

    deinit {
        pthread_rwlock_destroy(lock)
        lock.deallocate()
    }

    /// Looks at the value, beside other readers.
    package func read<R, E: Error>(
        _ body: (borrowing Value) throws(E) -> R
    ) throws(E) -> R {
        let kernel = Simulation.current
        if let kernel {
            wait(kernel, pthread_rwlock_tryrdlock)
        } else {
            pthread_rwlock_rdlock(lock)
        }
        defer { unlock(kernel) }
        return try body(value)
    }

    /// Changes the value, alone.
    package func write<R, E: Error>(_ body: (inout Value) throws(E) -> R) throws(E) -> R {
        let kernel = Simulation.current
        if let kernel {
            wait(kernel, pthread_rwlock_trywrlock)
        } else {
            pthread_rwlock_wrlock(lock)
        }
        defer { unlock(kernel) }
        return try body(&value)
    }

    private func unlock(_ kernel: (any SimulatedKernel)?) {
        pthread_rwlock_unlock(lock)
        kernel?.wake(ObjectIdentifier(self))
    }

    /// Takes the lock without ever blocking the thread outside the simulated scheduler.
    private func wait(
        _ kernel: any SimulatedKernel,
        _ attempt: (UnsafeMutablePointer<pthread_rwlock_t>) -> Int32
    ) {
        kernel.yield()
        while attempt(lock) != 0 {
            _ = kernel.block(on: ObjectIdentifier(self), of: Self.self, until: nil)
        }
    }
}
