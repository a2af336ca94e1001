package import Disk
package import SQLite

/// Why a node cannot start or go on: one line that names the thing and says what to do.
package struct NodeError: Error, Sendable, CustomStringConvertible {
    /// What a caller may want to tell apart; each has an exit code of its own.
    package enum Code: Sendable, CaseIterable {
        case failed
        /// What was given does not fit this node.
        case usage
        /// Another process has the directory.
        case inUse
        /// The key is missing, is none, or is not the one that the directory belongs to.
        case wrongKey
        case diskFull
        /// A file of ours holds something else than we wrote.
        case corrupt
    }

    package let code: Code
    package let description: String

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    package init(_ description: String) { self.init(.failed, description) }

    package init(_ error: DiskError) {
        self.init(error.isNoSpace ? .diskFull : .failed, error.description)
    }

    package init(_ error: SQLiteError) { self.init(Code(error), error.description) }
}

extension NodeError.Code {
    /// What a failure of a node's database is for the node.
    init(_ error: SQLiteError) {
        self = error.isFull ? .diskFull : error.isCorrupt ? .corrupt : .failed
    }
}
