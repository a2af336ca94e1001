/// Why the auditor cannot do what it was asked.
package struct CustodyError: Error, Sendable, CustomStringConvertible {
    /// What a caller may want to tell apart.
    package enum Code: Sendable, CaseIterable {
        /// The book's file cannot be read or written.
        case storage
        /// No keeper gives a beacon: nothing can be challenged.
        case noBeacon
        /// No such order, or no receipt of it yet.
        case notFound
        /// Too few shards of a stripe can be read.
        case unavailable
        /// No provider can take a shard.
        case noPlace
        /// It need not be done any more: the holder is back, or the stripe is gone.
        case cancelled
        /// The grant does not allow it.
        case notAllowed
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
