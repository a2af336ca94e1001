/// The times of writer leases.
///
/// A keeper and a holder each measure them on a clock of their own. Those clocks may differ by any
/// amount, but must not run at rates that differ by more than `margin` in `timeToLive`: 7 %, a
/// thousand times what a quartz does.
package struct LeaseTimes: Hashable, Sendable {
    /// How long after a grant or a renewal a keeper gives the lease to nobody else.
    package var timeToLive = Duration.seconds(30)
    /// How long after that only its holder gets it, or who asks to take it over: so that a holder
    /// that was cut off for a moment does not lose it to one that happens to wait.
    package var reservation = Duration.seconds(30)
    /// How often a holder renews: two of three renewals may be lost.
    package var renewal = Duration.seconds(10)
    /// How often a holder tries while it is cut off.
    package var retry = Duration.seconds(3)
    /// By how much earlier than a keeper a holder takes its lease to be over.
    package var margin = Duration.seconds(2)
    /// How long a holder waits for a keeper's answer to a question.
    package var patience = Duration.seconds(5)
    /// How long it waits for the other keepers once more than half have answered.
    package var stragglers = Duration.seconds(1)

    package init() {}

    /// The highest term: no keeper counts up to it, and none takes one above it, so that terms
    /// never overflow.
    package static let termMax: UInt64 = 1 << 62
    /// A term that is higher by more than this than those of most keepers is not believed: a
    /// keeper that lies could use up all terms with it.
    package static let termStepMax: UInt64 = 1 << 20
}
