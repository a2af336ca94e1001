/// What a trial found wrong.
package struct TrialFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// In which round, from 0.
    package var round = 0
    package let message: String

    package init(_ message: String) { self.message = message }

    package var description: String { "round \(round): \(message)" }
}
