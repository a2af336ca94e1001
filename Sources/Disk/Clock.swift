import CLinux
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

    /// The time to stamp a file with: not before any stamp that the kernel gave a file of this
    /// host, nor after any that it will give.
    ///
    /// The kernel stamps with a clock that goes in steps of milliseconds, and finer where somebody
    /// looked; `now()` would be ahead of it, so that what is written later looked older. A file in
    /// memory is touched and asked, some microsecond each.
    package static func fileTime() -> Timestamp {
        if let kernel = Simulation.current { return kernel.now() }
        var status = stat()
        guard touchedFile >= 0, futimens(touchedFile, nil) == 0, fstat(touchedFile, &status) == 0
        else {
            let time = read(CLOCK_REALTIME_COARSE)
            return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
        }
        let time = status.st_ctim
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    /// Stays open as long as the process.
    private static let touchedFile = clinux_memory_file("mefs-clock")

    /// Time since boot, suspension left out; never goes back.
    ///
    /// For timeouts and rates.
    package static func monotonic() -> Duration {
        if let kernel = Simulation.current { return kernel.monotonic() }
        let time = read(CLOCK_MONOTONIC)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Time since boot, suspension included; never goes back.
    ///
    /// For what others count on while this machine sleeps (`man 2 clock_gettime`,
    /// CLOCK_BOOTTIME).
    package static func sinceBoot() -> Duration {
        if let kernel = Simulation.current { return kernel.monotonic() }
        let time = read(CLOCK_BOOTTIME)
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
