import CSQLite

/// What SQLite refused, with its own words.
package struct SQLiteError: Error, Sendable, CustomStringConvertible {
    /// The primary result code, as `SQLITE_FULL`.
    package let code: Int32
    /// The extended result code, as `SQLITE_IOERR_FSYNC`; its low byte is `code`.
    package let extendedCode: Int32
    package let message: String

    package init(extendedCode: Int32, message: String) {
        code = extendedCode & 0xff
        self.extendedCode = extendedCode
        self.message = message
    }

    /// The error that a call on `connection` has just returned.
    init(_ status: Int32, _ doing: String, on connection: OpaquePointer) {
        let path = sqlite3_db_filename(connection, nil).map { String(cString: $0) } ?? "database"
        let reason = String(cString: sqlite3_errmsg(connection))
        self.init(extendedCode: status, message: "\(path): \(doing): \(reason)")
    }

    /// `SQLITE_CORRUPT`, for who finds damage that SQLite only tells of.
    package static let corruptCode = SQLITE_CORRUPT

    /// The disk (or quota, or the database's own size limit) is full.
    package var isFull: Bool { code == SQLITE_FULL }
    /// Another connection holds the lock, and `busy_timeout` is over.
    package var isBusy: Bool { code == SQLITE_BUSY || code == SQLITE_LOCKED }
    /// The file is damaged, or no database at all.
    package var isCorrupt: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }
    /// The operating system refused a read, write or sync.
    package var isInputOutput: Bool { code == SQLITE_IOERR }
    /// A UNIQUE, NOT NULL, CHECK or foreign-key rule.
    package var isConstraint: Bool { code == SQLITE_CONSTRAINT }

    package var description: String { "\(message) (SQLite code \(extendedCode))" }
}
