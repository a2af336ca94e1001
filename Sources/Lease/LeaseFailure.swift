/// Why a lease was not to be had.
package enum LeaseFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another mount has it, or had it and may come back.
    case inUse(LeaseState)
    /// Too few keepers answered.
    case outOfReach(answered: Int, of: Int)
    /// Keepers name terms above which there are hardly any.
    case termsUsedUp
    /// It was given back while it was waited for.
    case cancelled

    package var description: String {
        switch self {
        case .inUse(let state):
            let holder = state.label.isEmpty ? "another mount" : "\"\(state.label)\""
            return switch state.standing {
            case .held, .free: "the volume is in use by \(holder)"
            case .lapsed:
                "the volume was in use by \(holder), which is silent; it can be taken over, or is"
                    + " free in \(state.secondsLeft) s"
            }
        case .outOfReach(let answered, let keepers):
            return "\(answered) of \(keepers) keepers answer, and more than half are needed"
        case .termsUsedUp: return "keepers name terms of the lease that cannot be"
        case .cancelled: return "the lease was given back"
        }
    }
}
