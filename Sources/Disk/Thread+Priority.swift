import CLinux
import Glibc

extension Thread {
    /// The nice value of background threads: they get what programs and the kernel's requests
    /// leave over (`man 2 setpriority`; on Linux it applies to one thread).
    private static let backgroundNice: Int32 = 10

    /// Makes the calling thread yield to others; failing to is harmless.
    package static func lowerPriority() {
        guard Simulation.current == nil else { return }
        _ = setpriority(
            __priority_which_t(PRIO_PROCESS.rawValue),
            id_t(clinux_thread_id()),
            backgroundNice
        )
    }
}
