import Glibc

/// Signals taken one at a time by a thread that waits for them, so that nothing runs in a signal
/// handler.
///
/// Make it in `main` before any other thread starts: threads inherit the blocked signals.
package struct SignalWaiter: Sendable {
    private let signals: [Int32]

    /// Blocks `signals` in the calling thread from here on.
    package init(_ signals: [Int32] = [SIGTERM, SIGINT, SIGHUP]) {
        self.signals = signals
        var set = Self.set(of: signals)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    private static func set(of signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }

    /// Waits for one of the signals and says which came.
    package func wait() -> Int32 {
        var set = Self.set(of: signals)
        while true {
            var signal: Int32 = 0
            if sigwait(&set, &signal) == 0 { return signal }
        }
    }

    /// Waits for one of the signals; `nil` if none came within `timeout`.
    package func wait(for timeout: Duration) -> Int32? {
        var set = Self.set(of: signals)
        let deadline = Clock.monotonic() + timeout
        while true {
            var rest = timespec(deadline - Clock.monotonic())
            let signal = sigtimedwait(&set, nil, &rest)
            if signal > 0 { return signal }
            // Interrupted by another signal's handler: wait for what is left.
            if errno != EINTR { return nil }
        }
    }
}
