import CLinux
import Glibc
import Synchronization

/// A thread of our own, for work that blocks.
///
/// All signals are blocked in it, so that they reach the one thread that waits for them
/// (`SignalWaiter`). A thread that nobody joins ends by itself.
package final class Thread: Sendable {
    /// Room for frames with buffers of a segment; the default of 8 MiB only costs address space.
    private static let stackBytes = 1 << 20

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    private let handle: Mutex<pthread_t?>
    private let simulated: (any SimulatedThread)?

    private init(_ handle: pthread_t) {
        self.handle = Mutex(handle)
        simulated = nil
    }

    private init(_ simulated: any SimulatedThread) {
        handle = Mutex(nil)
        self.simulated = simulated
    }

    /// Starts a thread that runs `body` once.
    ///
    /// `top -H` shows the first 15 bytes of `name`.
    @discardableResult
    package static func spawn(
        _ name: String,
        _ body: @escaping @Sendable () -> Void
    ) throws(DiskError) -> Thread {
        if let kernel = Simulation.current { return Thread(kernel.spawn(name, body)) }
        return try spawnInKernel(name, body)
    }

    /// Starts a thread of the kernel's, also from within a simulation, to carry simulated ones.
    package static func spawnInKernel(
        _ name: String,
        _ body: @escaping @Sendable () -> Void
    ) throws(DiskError) -> Thread {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)

        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var handle = pthread_t()
        let code = withSignalsBlocked {
            pthread_create(
                &handle,
                &attributes,
                { argument in
                    guard let argument else { return nil }
                    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                    clinux_name_thread(start.name)
                    start.body()
                    return nil
                },
                start.toOpaque()
            )
        }
        guard code == 0 else {
            start.release()
            throw DiskError("start thread", name, errno: code)
        }
        return Thread(handle)
    }

    /// A new thread inherits the mask of the one that makes it.
    private static func withSignalsBlocked<Result>(_ body: () -> Result) -> Result {
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        // A fault of the thread itself must still be reported where it happens.
        for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] {
            sigdelset(&all, fault)
        }
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        return body()
    }

    /// Waits until `body` has returned; never from `body` itself.
    ///
    /// A second call returns at once.
    package func join() {
        if let simulated { return simulated.join() }
        let handle = handle.withLock { (handle: inout pthread_t?) -> pthread_t? in
            defer { handle = nil }
            return handle
        }
        guard let handle else { return }
        let code = pthread_join(handle, nil)
        precondition(code == 0, "a thread was joined by itself")
    }

    deinit {
        if let handle = handle.withLock({ $0 }) { pthread_detach(handle) }
    }
}
