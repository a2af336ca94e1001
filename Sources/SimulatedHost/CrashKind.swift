/// How a machine's process comes to an end.
package enum CrashKind: String, CaseIterable, Sendable {
    /// SIGKILL: the process is gone, the page cache stays.
    case kill
    /// The host is gone: of what was not synced the seed decides what is kept, lost or torn.
    case powerCut
}
