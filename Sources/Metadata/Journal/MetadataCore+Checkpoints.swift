import Primitives
import SQLite
import Synchronization
import Wire

extension MetadataCore {
    /// The last row of the journal, and the last that tells of what a user would miss.
    var journalSequences: (last: Int64, substantial: Int64) {
        writer.withLock { ($0.journalSequence, $0.substantialSequence) }
    }

    /// The last row of the journal that a registered head must have before stripes of kept heads
    /// that are none any more are given up.
    var forgettingSequence: Int64 { writer.withLock { $0.forgettingSequence } }

    func beginCheckpoints() throws(FileSystemError) {
        try writer.withLock { writer throws(FileSystemError) in
            guard !writer.keepsJournal else { return }
            try converting { () throws(SQLiteError) in
                try writer.setMeta([(MetaKey.openVersion, 1)])
            }
            writer.keepsJournal = true
            state.withLock { $0.openVersion = max($0.openVersion, 1) }
        }
    }

    /// Saves all, and counts what comes after towards the next head.
    ///
    /// `image`: what sees that state from now on.
    func cut(
        behindMax: Int,
        pinning image: MetadataReader?
    ) throws(FileSystemError) -> CheckpointCut {
        _ = try saveChanges()
        let cut = try writer.withLock { writer throws(FileSystemError) -> CheckpointCut in
            // What came since is the last that this head has: nothing is saved between.
            let (set, version, behind) = state.withLock { state in
                let set = state.takeChanges()
                let version = state.openVersion
                state.openVersion += 1
                return (set, version, state.dirty.list(limit: behindMax, olderThan: nil))
            }
            if let set {
                do throws(SQLiteError) {
                    try writer.save(set)
                } catch {
                    state.withLock { $0.takeBack() }
                    throw FileSystemError(error)
                }
                state.withLock { $0.finishSaving() }
            }
            try converting { () throws(SQLiteError) in
                try writer.setMeta([
                    (MetaKey.openVersion, .integer(Int64(clamping: version + 1)))
                ])
            }
            try image?.pin()
            noteCommit(writer.sequence)
            return CheckpointCut(
                version: version,
                last: writer.journalSequence,
                behind: behind.map(\.key)
            )
        }
        bell.ring()
        return cut
    }

    /// Records collected before they are given away: 1 MiB and one record at most.
    private static let chunkBytes = 1 << 20

    func cutBase(
        behindMax: Int,
        _ body: ([UInt8]) throws(FileSystemError) -> Void
    ) throws(FileSystemError) -> CheckpointCut {
        let image = try Self.reader(path)
        let cut = try cut(behindMax: behindMax, pinning: image)
        defer { image.unpin() }
        var chunk = ByteWriter(capacity: Self.chunkBytes)
        try image.forEachRow { record throws(FileSystemError) in
            record.write(to: &chunk)
            guard chunk.bytes.count >= Self.chunkBytes else { return }
            try body(chunk.bytes)
            chunk = ByteWriter(capacity: Self.chunkBytes)
        }
        if !chunk.bytes.isEmpty { try body(chunk.bytes) }
        return cut
    }

    /// Rows of the journal deleted in one transaction.
    private static let forgottenAtOnce: Int64 = 256

    func noteRegistered(
        _ version: UInt64,
        through last: Int64,
        forgettingThrough base: Int64?
    ) throws(FileSystemError) {
        try writer.withLock { writer throws(FileSystemError) in
            try converting { () throws(SQLiteError) in
                var rows: [(key: String, value: Value)] = [
                    (MetaKey.registeredVersion, .integer(Int64(clamping: version))),
                    (MetaKey.cutSequence, .integer(last)),
                ]
                if base != nil { rows.append((MetaKey.needsBase, 0)) }
                try writer.setMeta(rows)
            }
            noteCommit(writer.sequence)
        }
        // Stripes may be given up now.
        bell.ring()
        guard let base else { return }
        while true {
            let isDone = try writer.withLock { writer throws(FileSystemError) in
                try converting { () throws(SQLiteError) in
                    try writer.forgetJournal(through: base, limit: Self.forgottenAtOnce)
                }
            }
            if isDone { return }
        }
    }
}
