package import Primitives
import SQLite

/// Checkpoints: the volume's rows on their way to the network, and the heads that name them.
///
/// In this order for each head:
/// 1. `cut` fixes the moment; `journal` or `writeBase` give what is to be placed.
/// 2. Its stripes are begun and placed as any others.
/// 3. `completeCheckpoint`, synced: the head is whole, and what it replaces is not needed by it.
/// 4. More than half of the keepers have it, and `noteRegistered` says so. Only then does
///    `collectReleased` give up stripes that older heads needed.
///
/// A crash before 3 leaves its stripes as garbage; after 3 the same head is registered again.
extension MetadataStore {
    /// Blocks named in a cut as newer here than at the network; more are only counted.
    private static let behindMax = 65_536

    /// Keeps a journal from now on, if that was not done before.
    package func beginCheckpoints() throws(FileSystemError) {
        try checkOpen()
        try core.beginCheckpoints()
    }

    /// How far the journal is, and how far heads are.
    package func checkpointState() throws(FileSystemError) -> CheckpointState {
        let (last, substantial) = core.journalSequences
        return try scan { reader throws(FileSystemError) in
            var head: [UInt8] = []
            if case .blob(let bytes)? = try reader.meta(MetaKey.head) { head = bytes }
            return CheckpointState(
                lastRow: last,
                lastSubstantialRow: substantial,
                cutRow: Int64(try reader.version(MetaKey.cutSequence)),
                registered: try reader.version(MetaKey.registeredVersion),
                head: head,
                parts: try reader.checkpointParts(),
                needsBase: try reader.version(MetaKey.needsBase) != 0,
                behind: Int(clamping: try reader.version(MetaKey.headBehind))
            )
        }
    }

    /// The last row of the journal that tells of what a user would miss; no SQL.
    package var lastSubstantialRow: Int64 { core.journalSequences.substantial }

    /// Fixes the moment that the next head is of: every operation so far.
    package func cut() throws(FileSystemError) -> CheckpointCut {
        try checkOpen()
        return try core.cut(behindMax: Self.behindMax, pinning: nil)
    }

    /// As `cut`, and gives `body` every row that goes with the volume as of that moment, encoded.
    ///
    /// Operations go on meanwhile; the log grows until this returns.
    package func cutBase(
        _ body: @Sendable ([UInt8]) throws(FileSystemError) -> Void
    ) throws(FileSystemError) -> CheckpointCut {
        try checkOpen()
        return try core.cutBase(behindMax: Self.behindMax, body)
    }

    /// What became of rows in a span of the journal: the last word on each, encoded.
    package func journal(
        after first: Int64,
        through last: Int64
    ) throws(FileSystemError) -> [UInt8] {
        try scan { reader throws(FileSystemError) in
            var merge = JournalMerge()
            try reader.forEachJournalRow(after: first, through: last) {
                bytes throws(FileSystemError) in try merge.add(bytes)
            }
            return merge.encoded
        }
    }

    /// Bytes of the journal that is kept here since the last base.
    package func journalBytes() throws(FileSystemError) -> UInt64 {
        try scan { reader throws(FileSystemError) in try reader.journalBytes() }
    }

    /// Notes, durably, that a head is placed.
    ///
    /// Waits for the disk.
    package func completeCheckpoint(_ checkpoint: NewCheckpoint) throws(FileSystemError) {
        try change { state throws(FileSystemError) in try state.complete(checkpoint) }
        try sync()
    }

    /// Notes that more than half of the keepers have a head, and how far in the journal it is; the
    /// journal before a base is forgotten.
    package func noteRegistered(
        _ version: UInt64,
        through last: Int64,
        forgettingThrough base: Int64?
    ) throws(FileSystemError) {
        try checkOpen()
        try core.noteRegistered(version, through: last, forgettingThrough: base)
    }

    /// Gives up stripes that neither the volume nor the newest registered head nor a kept one
    /// needs; `deadShards` has their shards then.
    ///
    /// - Returns: How many.
    package func collectReleased(limit: Int) throws(FileSystemError) -> Int {
        let needed = core.forgettingSequence
        let found = try scan { reader throws(FileSystemError) -> [StripeID] in
            // Who recovered from that head would find a snapshot without its bytes.
            guard try reader.version(MetaKey.cutSequence) >= UInt64(clamping: needed) else {
                return []
            }
            let registered = try reader.version(MetaKey.registeredVersion)
            // A head that was found need not be with more than half of the keepers: another machine
            // may yet go on from an older one, until one of ours is registered.
            guard try registered > reader.version(MetaKey.adoptedVersion) else { return [] }
            return try reader.releasedStripes(registered: registered, limit: limit)
        }
        guard !found.isEmpty else { return 0 }
        try change(isFreeing: true) { state throws(FileSystemError) in try state.give(up: found) }
        return found.count
    }

    /// The kept heads, the oldest first.
    package func snapshots() throws(FileSystemError) -> [SnapshotRow] {
        try scan { reader throws(FileSystemError) in try reader.snapshots() }
    }

    /// Keeps a head, or puts other words to one that is kept.
    ///
    /// Waits for the disk.
    package func putSnapshot(_ row: SnapshotRow) throws(FileSystemError) {
        try change { state in state.putSnapshot(row) }
        try sync()
    }

    /// Which heads are kept, in the words of `setSnapshotPolicy`; `nil` if it was never said.
    package func snapshotPolicy() throws(FileSystemError) -> String? {
        try scan { reader throws(FileSystemError) -> String? in
            guard case .text(let text)? = try reader.meta(MetaKey.snapshotPolicy) else {
                return nil
            }
            return text
        }
    }

    /// Says which heads are kept.
    ///
    /// Waits for the disk.
    package func setSnapshotPolicy(_ text: String) throws(FileSystemError) {
        try change { state in
            state.changes.texts[MetaKey.snapshotPolicy] = text
            state.changes.operations += 1
        }
        try sync()
    }

    /// Keeps a head no longer.
    ///
    /// Waits for the disk.
    package func removeSnapshot(_ version: UInt64) throws(FileSystemError) {
        try change(isFreeing: true) { state in state.removeSnapshot(version) }
        try sync()
    }
}

/// How far a store's journal and heads are.
package struct CheckpointState: Sendable {
    /// The last row of the journal.
    package let lastRow: Int64
    /// The last that tells of what a user would miss; 0 if there was none since the opening.
    package let lastSubstantialRow: Int64
    /// The last that the newest registered head contains.
    package let cutRow: Int64
    /// The newest registered head; 0 if there is none.
    package let registered: UInt64
    /// The head made last as it is sent to keepers; empty if there is none.
    package let head: [UInt8]
    /// The parts of that head.
    package let parts: [CheckpointPart]
    /// Whether rows were changed past the journal, so that the next head needs a new base.
    package let needsBase: Bool
    /// Blocks that were not placed when that head was made.
    package let behind: Int
}
