import Primitives

/// What becomes of a row.
enum Edit<Row: Sendable>: Sendable {
    case put(Row)
    case remove
}

/// A name in a directory.
struct EntryKey: Hashable, Sendable {
    let parent: InodeNumber
    let name: EntryName
}

/// What a name leads to; `ino` 0 is a name known to be absent.
struct Child: Hashable, Sendable {
    var ino: InodeNumber
    var cookie: UInt64

    static let absent = Child(ino: InodeNumber(0), cookie: 0)
    var isPresent: Bool { ino.rawValue != 0 }
}

struct XattrKey: Hashable, Sendable {
    let ino: InodeNumber
    let name: [UInt8]
}

/// A row of the table `stripe`.
struct StripeRow: Sendable {
    let id: StripeID
    let code: ErasureCode
    let payloadBytes: Int
    let shardBytes: Int
    var state: StripeState
    /// Blocks of files that it holds the current version of.
    var liveBlocks: Int64
    /// Sealed bytes of those blocks.
    var liveBytes: Int64
    /// The first head that may refer to it; 0 if it was placed before there were any.
    var born: UInt64 = 0
    /// The first head that does not refer to it any more; `nil` while the volume needs it.
    var died: UInt64?
}

/// Everything changed since the last commit, as the rows it leaves behind.
///
/// Last word only: a name made and removed again costs one DELETE that finds nothing. Applied in
/// one transaction, so that the database goes from one state of memory to a later one, whole.
struct ChangeSet: Sendable {
    /// Changes counted towards `MetadataLimits.commitOperations`.
    var operations = 0
    var inodes: [InodeRow] = []
    var stripes: [StripeRow] = []
    var entries: [EntryKey: Edit<Child>] = [:]
    /// Whether an inode is in the table `orphan`.
    var orphans: [InodeNumber: Bool] = [:]
    var targets: [InodeNumber: [UInt8]] = [:]
    var fileKeys: [InodeNumber: [UInt8]] = [:]
    var xattrs: [XattrKey: Edit<[UInt8]>] = [:]
    var blocks: [BlockKey: Edit<BlockLocation>] = [:]
    var residency: [BlockKey: Edit<Residency>] = [:]
    var passthroughs: [InodeNumber: Edit<Passthrough>] = [:]
    var shards: [StripeID: [ShardRecord]] = [:]
    /// Kept heads, by version.
    var snapshots: [UInt64: Edit<SnapshotRow>] = [:]
    /// Parts of the checkpoint, and pieces of it that are all to be removed.
    var checkpointParts: [CheckpointPart] = []
    var removedPieces: Set<Int64> = []
    /// The head as it is sent to keepers.
    var head: [UInt8]?
    var forgottenShards: Set<DeadShard> = []
    /// Inodes whose rows are to be deleted everywhere.
    var reaped: [InodeNumber: FileKind] = [:]
    var removedStripes: Set<StripeID> = []
    var nextInode: UInt64?
    /// Numbers that the store's user keeps in the table `meta`.
    var numbers: [String: Int64] = [:]
    /// Words that the store's user keeps there.
    var texts: [String: String] = [:]
    /// Inodes that any of the above is about: memory keeps them until they are saved.
    var touched: Set<InodeNumber> = []

    var isEmpty: Bool {
        inodes.isEmpty && stripes.isEmpty && entries.isEmpty && orphans.isEmpty
            && targets.isEmpty && fileKeys.isEmpty && xattrs.isEmpty && blocks.isEmpty
            && residency.isEmpty && shards.isEmpty && forgottenShards.isEmpty && reaped.isEmpty
            && removedStripes.isEmpty && passthroughs.isEmpty && nextInode == nil && numbers.isEmpty
            && snapshots.isEmpty && checkpointParts.isEmpty && removedPieces.isEmpty && head == nil
            && texts.isEmpty
    }

    /// Puts an older set that could not be saved beneath this one.
    ///
    /// Its inodes and stripes are not taken over: the caller marks those in memory as unsaved
    /// again.
    mutating func put(over older: ChangeSet) {
        operations += older.operations
        entries.merge(older.entries) { new, _ in new }
        orphans.merge(older.orphans) { new, _ in new }
        targets.merge(older.targets) { new, _ in new }
        fileKeys.merge(older.fileKeys) { new, _ in new }
        xattrs.merge(older.xattrs) { new, _ in new }
        blocks.merge(older.blocks) { new, _ in new }
        residency.merge(older.residency) { new, _ in new }
        passthroughs.merge(older.passthroughs) { new, _ in new }
        shards.merge(older.shards) { new, _ in new }
        snapshots.merge(older.snapshots) { new, _ in new }
        // What is removed is removed before what is put: see `MetadataWriter`.
        checkpointParts =
            older.checkpointParts.filter { !removedPieces.contains($0.piece) } + checkpointParts
        removedPieces.formUnion(older.removedPieces)
        head = head ?? older.head
        forgottenShards.formUnion(older.forgottenShards)
        reaped.merge(older.reaped) { new, _ in new }
        removedStripes.formUnion(older.removedStripes)
        nextInode = nextInode ?? older.nextInode
        numbers.merge(older.numbers) { new, _ in new }
        texts.merge(older.texts) { new, _ in new }
        touched.formUnion(older.touched)
    }
}
