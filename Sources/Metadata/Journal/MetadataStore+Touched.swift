package import Primitives
import SQLite
import Wire

extension MetadataStore {
    /// Inodes that the journal says to have got, after its row `row`, a name, other bytes or
    /// another target; some of them may be gone.
    ///
    /// What is only in memory is not among them: `commit` before.
    package func inodesTouched(after row: Int64) throws(FileSystemError) -> Set<InodeNumber> {
        let last = core.journalSequences.last
        return try scan { reader throws(FileSystemError) in
            var touched: Set<InodeNumber> = []
            try reader.forEachJournalRow(after: row, through: last) {
                bytes throws(FileSystemError) in
                try Self.addInodes(of: bytes, to: &touched)
            }
            return touched
        }
    }

    private static func addInodes(
        of bytes: [UInt8],
        to touched: inout Set<InodeNumber>
    ) throws(FileSystemError) {
        var reader = ByteReader(bytes)
        do throws(DecodeError) {
            while reader.remaining > 0 {
                let record = try JournalRecord(from: &reader)
                let value: Int? =
                    switch (record.table, record.action) {
                    case (.dentry, .put): 2
                    case (.block, _), (.symlink, .put): 0
                    default: nil
                    }
                guard let value else { continue }
                guard case .integer(let number) = record.values[value] else { continue }
                touched.insert(InodeNumber(UInt64(bitPattern: number)))
            }
        } catch {
            throw FileSystemError(.corrupt, "metadata database: the journal is damaged: \(error)")
        }
    }
}
