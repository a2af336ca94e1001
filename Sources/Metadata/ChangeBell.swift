import Disk

/// Wakes threads that have work only after something has changed.
///
/// Rung once for each set of changes that goes to a commit, so some 200 times a second at most.
final class ChangeBell: Sendable {
    private let rings = Condition<UInt64>(0)

    var count: UInt64 { rings.withLock { $0 } }

    func ring() { rings.update { $0 += 1 } }

    /// Wakes all who wait, so that they look whether they are to end.
    func wakeAll() { rings.update { _ in } }

    func wait(after seen: UInt64, for timeout: Duration, unless mustStop: () -> Bool) {
        _ = rings.wait(for: timeout) { $0 != seen || mustStop() ? () : nil }
    }
}

extension MetadataStore {
    /// Grows with every set of changes that is handed to a commit.
    package var changeCount: UInt64 { core.bell.count }

    /// Waits until something was changed since `changeCount` was `seen`, but no longer than
    /// `timeout`.
    ///
    /// Whoever reads `changeCount` first, then looks for work, and waits here if there is none,
    /// misses nothing, and sleeps while nobody uses the volume.
    ///
    /// `mustStop`: ends the waiting too, once `wakeWaiters` was called; takes no lock that is held
    /// during a call of the store.
    package func waitForChange(
        after seen: UInt64,
        for timeout: Duration,
        unless mustStop: () -> Bool
    ) {
        core.bell.wait(after: seen, for: timeout, unless: mustStop)
    }

    /// Has all who wait for a change look whether they are to end.
    package func wakeWaiters() { core.bell.wakeAll() }
}
