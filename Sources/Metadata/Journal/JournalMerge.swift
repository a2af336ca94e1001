import Primitives
import SQLite
import Wire

/// Many records of a journal as few: the last word on each row.
struct JournalMerge {
    private struct Key: Hashable {
        let table: JournalTable
        let values: [Value]
    }

    private var records: [JournalRecord] = []
    /// Where the last word on a row stands.
    private var last: [Key: Int] = [:]
    /// Where rows whose key begins so were last removed together.
    private var removed: [Key: Int] = [:]

    /// Adds encoded records that come after those before.
    mutating func add(_ bytes: [UInt8]) throws(FileSystemError) {
        var reader = ByteReader(bytes)
        do throws(DecodeError) {
            while reader.remaining > 0 { add(try JournalRecord(from: &reader)) }
        } catch {
            throw FileSystemError(
                .corrupt,
                "metadata database: the journal holds what no version of this program writes:"
                    + " \(error); 'mefs fsck' has a new base made"
            )
        }
    }

    private mutating func add(_ record: JournalRecord) {
        switch record.action {
        case .put, .remove:
            let values = Array(record.values.prefix(record.table.keyCount))
            last[Key(table: record.table, values: values)] = records.count
        case .removeAll:
            removed[Key(table: record.table, values: record.values)] = records.count
        }
        records.append(record)
    }

    /// The records that count, in the order in which they came.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        for (position, record) in records.enumerated() where counts(record, at: position) {
            record.write(to: &writer)
        }
        return writer.bytes
    }

    private func counts(_ record: JournalRecord, at position: Int) -> Bool {
        let first = Key(table: record.table, values: [record.values[0]])
        guard record.action != .removeAll else { return removed[first] == position }
        if let end = removed[first], position < end { return false }
        let values = Array(record.values.prefix(record.table.keyCount))
        return last[Key(table: record.table, values: values)] == position
    }
}
