/// Why a request to another node was not fulfilled.
package struct NetworkError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller may want to tell apart.
    ///
    /// The raw values are on the wire (`docs/wire.md`).
    package enum Code: UInt8, Sendable, CaseIterable {
        /// The node cannot be reached, or is not the node it should be.
        case unreachable = 1
        /// No answer in time.
        case timedOut = 2
        /// The node does not do this, or not now.
        case refused = 3
        /// The node has no such thing.
        case notFound = 4
        /// The node has no room.
        case full = 5
        /// The thing belongs to another owner.
        case unauthorized = 6
        /// Bytes are not what their digest says.
        case corrupt = 7
        /// The request or the reply breaks the format.
        case malformed = 8
        /// The connection ended before the reply came.
        case closed = 9
        /// Something else has that id.
        case exists = 10
        /// The node has something newer, or another thing under the same number.
        case conflict = 11
        /// A writer with a newer term has taken the volume over.
        case superseded = 12
        /// It is kept until a time that the message names.
        case retained = 13
    }

    /// The longest message that a reply carries, in bytes; what is longer is cut.
    package static let messageBytesMax = 1024

    package let code: Code
    /// One line that names the node or the thing.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }

    /// Whether the same request to the same node may go well later: the node was away or slow.
    package var isTransient: Bool {
        switch code {
        case .unreachable, .timedOut, .closed: true
        case .refused, .notFound, .full, .unauthorized, .corrupt, .malformed, .exists, .conflict,
            .superseded, .retained:
            false
        }
    }
}
