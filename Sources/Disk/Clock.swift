import Glibc
package import Primitives

/// The host's clocks.
package enum Clock {
    /// Wall-clock time; jumps when the clock is set.
    package static func now() -> Timestamp {
        if let kernel = Simulation.current { return kernel.now() }
        let time = read(CLOCK_REALTIME)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    /// Time since boot, suspension left out; never goes back.
    ///
    /// For timeouts and rates.
    package static func monotonic() -> Duration {
        if let kernel = Simulation.current { return kernel.monotonic() }
        let time = read(CLOCK_MONOTONIC)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// CPU seconds this process has used, user and system, all threads.
    package static func processCPUSeconds() -> Double {
        let time = read(CLOCK_PROCESS_CPUTIME_ID)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        let result = clock_gettime(clock, &time)
        precondition(result == 0, "clock \(clock) of every Linux is readable")
        return time
    }

    /// Suspends the calling thread for at least `duration`.
    package static func sleep(for duration: Duration) {
        if let kernel = Simulation.current { return kernel.sleep(for: duration) }
        let deadline = monotonic() + duration
        var rest = timespec(duration)
        while nanosleep(&rest, nil) == -1, errno == EINTR {
            rest = timespec(deadline - monotonic())
        }
    }
}

extension timespec {
    /// The duration, at least zero, in whole nanoseconds.
    init(_ duration: Duration) {
        let parts = max(duration, .zero).components
        self.init(tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
    }
}
