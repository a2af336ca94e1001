import CSQLite

/// A prepared statement; bind, step, read columns, reset.
///
/// Parameters count from 1 and columns from 0, as in SQLite. Belongs to the thread (or lock) that
/// its `Database` belongs to. Keep it as long as it is useful: preparing costs ten times a step.
package final class Statement {
    private let handle: OpaquePointer
    /// Valid as long as a statement of it lives, also when its `Database` is gone
    /// (`sqlite3_close_v2`).
    ///
    /// No reference to the `Database`, which may keep this statement.
    private let connection: OpaquePointer

    /// Tells SQLite to copy bound bytes at once (`SQLITE_TRANSIENT`, a macro Swift cannot import).
    private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    init(_ sql: String, in database: Database) throws(SQLiteError) {
        connection = database.connection
        var prepared: OpaquePointer?
        let status = sqlite3_prepare_v3(
            database.connection,
            sql,
            -1,
            UInt32(SQLITE_PREPARE_PERSISTENT),
            &prepared,
            nil
        )
        guard status == SQLITE_OK, let prepared else {
            throw SQLiteError(status, "preparing \(sql)", on: database.connection)
        }
        handle = prepared
    }

    deinit {
        sqlite3_finalize(handle)
    }

    package var sql: String { String(cString: sqlite3_sql(handle)) }

    /// Binds a parameter; the first is 1.
    package func bind(_ index: Int32, _ value: Int64) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, index, value))
    }

    /// Binds a parameter; the first is 1.
    package func bind(_ index: Int32, _ value: [UInt8]) throws(SQLiteError) {
        let status = value.withUnsafeBytes { bytes in
            // A null pointer would bind NULL and not an empty blob.
            bytes.isEmpty
                ? sqlite3_bind_zeroblob(handle, index, 0)
                : sqlite3_bind_blob64(
                    handle,
                    index,
                    bytes.baseAddress,
                    UInt64(bytes.count),
                    Self.copied
                )
        }
        try check(status)
    }

    /// Binds a parameter; the first is 1.
    package func bind(_ index: Int32, _ value: String) throws(SQLiteError) {
        var value = value
        let status = value.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) { characters in
                sqlite3_bind_text64(
                    handle,
                    index,
                    characters.baseAddress ?? Self.emptyText,
                    UInt64(characters.count),
                    Self.copied,
                    UInt8(SQLITE_UTF8)
                )
            }
        }
        try check(status)
    }

    // SAFETY: a constant, only ever read.
    private nonisolated(unsafe) static let emptyText = {
        let text = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        text.pointee = 0
        return UnsafePointer(text)
    }()

    /// Binds a parameter; the first is 1.
    package func bind(_ index: Int32, _ value: Double) throws(SQLiteError) {
        try check(sqlite3_bind_double(handle, index, value))
    }

    /// Binds a parameter; the first is 1.
    package func bindNull(_ index: Int32) throws(SQLiteError) {
        try check(sqlite3_bind_null(handle, index))
    }

    /// Binds a parameter; the first is 1.
    package func bind(_ index: Int32, _ value: Value) throws(SQLiteError) {
        switch value {
        case .null: try bindNull(index)
        case .integer(let integer): try bind(index, integer)
        case .real(let real): try bind(index, real)
        case .text(let text): try bind(index, text)
        case .blob(let bytes): try bind(index, bytes)
        }
    }

    /// Binds parameters 1, 2, 3, ….
    ///
    /// Binds a parameter; the first is 1.
    package func bind(all values: [Value]) throws(SQLiteError) {
        var index: Int32 = 1
        for value in values {
            try bind(index, value)
            index += 1
        }
    }

    /// Goes to the next row; `false` at the end.
    ///
    /// After an error the statement is reset.
    package func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let status:
            // The message belongs to the last call on the connection, so before the reset.
            let error = SQLiteError(status, "running \(sql)", on: connection)
            sqlite3_reset(handle)
            throw error
        }
    }

    /// Makes the statement ready to run again and ends its read of the database.
    ///
    /// Bindings stay.
    package func reset() {
        // Repeats the error of the last step, which was thrown then.
        sqlite3_reset(handle)
    }

    /// Runs to the end with the bound parameters, ignoring rows, and resets.
    package func run() throws(SQLiteError) {
        defer { reset() }
        while try step() {}
    }

    /// Runs with parameters 1, 2, 3, … and resets.
    package func run(_ values: Value...) throws(SQLiteError) {
        try bind(all: values)
        try run()
    }

    package func isNull(_ column: Int32) -> Bool {
        sqlite3_column_type(handle, column) == SQLITE_NULL
    }

    /// The column as an integer; 0 if it is NULL.
    package func integer(_ column: Int32) -> Int64 {
        sqlite3_column_int64(handle, column)
    }

    /// The column as a number; 0 if it is NULL.
    package func real(_ column: Int32) -> Double {
        sqlite3_column_double(handle, column)
    }

    /// The column's bytes; empty if it is NULL.
    package func blob(_ column: Int32) -> [UInt8] {
        guard let bytes = sqlite3_column_blob(handle, column) else { return [] }
        let count = Int(sqlite3_column_bytes(handle, column))
        return [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
    }

    /// The column as text, repaired if it is not UTF-8; empty if it is NULL.
    package func text(_ column: Int32) -> String {
        guard let bytes = sqlite3_column_text(handle, column) else { return "" }
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    package func value(_ column: Int32) -> Value {
        switch sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: .integer(integer(column))
        case SQLITE_FLOAT: .real(real(column))
        case SQLITE_TEXT: .text(text(column))
        case SQLITE_BLOB: .blob(blob(column))
        default: .null
        }
    }

    private func check(_ status: Int32) throws(SQLiteError) {
        guard status == SQLITE_OK else {
            throw SQLiteError(status, "binding to \(sql)", on: connection)
        }
    }
}
