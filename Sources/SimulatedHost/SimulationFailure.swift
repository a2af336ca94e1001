/// A simulation that cannot go on; the world is of no use after, and its threads stay parked.
package enum SimulationFailure: Error, CustomStringConvertible {
    /// Everybody waits, and for nothing that time would bring.
    case deadlock(report: String)
    /// No thread was switched for a minute of real time.
    ///
    /// The running one computes without end, or waits outside the scheduler: for a `Mutex` that a
    /// thread holds which was switched away from.
    case stuck(report: String)
    /// More virtual time went by than allowed, as when threads retry something for ever.
    case endless(report: String)
    /// The kernel has no thread for us.
    case noThread(String)

    package var description: String {
        switch self {
        case .deadlock(let report): "all threads wait, for nothing that will come:\n\(report)"
        case .stuck(let report): "no switch in a minute of real time:\n\(report)"
        case .endless(let report): "the limit of virtual time is passed:\n\(report)"
        case .noThread(let reason): "no thread could be made: \(reason)"
        }
    }
}
