package import Disk
package import SQLite

/// Why a node cannot start or go on: one line that names the thing and says what to do.
package struct NodeError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    package init(_ error: DiskError) { description = error.description }

    package init(_ error: SQLiteError) { description = error.description }
}
