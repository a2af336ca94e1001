import Glibc

/// A value behind a POSIX read-write lock: many readers or one writer.
///
/// `Mutex` would serialise readers of one file's cached bytes, and these copy up to a megabyte
/// each while they hold the lock. See `man 3 pthread_rwlock_rdlock`.
final class ReadWriteLock<Value: Sendable>: @unchecked Sendable {
    // SAFETY: `value` is touched only between lock and unlock of `lock`, which lives as long as
    // this object and is never copied.
    private let lock: UnsafeMutablePointer<pthread_rwlock_t>
    private var value: Value

    init(_ value: Value) {
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

    func read<R, E: Error>(_ body: (borrowing Value) throws(E) -> R) throws(E) -> R {
        pthread_rwlock_rdlock(lock)
        defer { pthread_rwlock_unlock(lock) }
        return try body(value)
    }

    func write<R, E: Error>(_ body: (inout Value) throws(E) -> R) throws(E) -> R {
        pthread_rwlock_wrlock(lock)
        defer { pthread_rwlock_unlock(lock) }
        return try body(&value)
    }
}
