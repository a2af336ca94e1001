import CLinux

/// The memory of a process that holds keys.
package enum ProcessSecrecy {
    /// Has the process leave no core dump when it crashes (`man 5 core`), and lets no other process
    /// of its user read its memory or its environment (`man 2 prctl`, PR_SET_DUMPABLE).
    ///
    /// To be called first of all. The superuser still can: debuggers, perf and /proc go on working
    /// for them. Neither call fails on a Linux of this century.
    package static func begin() { _ = clinux_forbid_dumps() }
}
