import Primitives
import SQLite

/// The volume's metadata as of now: caches in front of the database, and what is not saved yet.
///
/// Belongs to the store's namespace lock.
///
/// Every operation has two halves. The first looks up all it needs and checks; it may read the
/// database and may throw. The second changes memory and `changes`, reads nothing and cannot fail.
/// So a failing disk never leaves half an operation behind, and the database, which only ever
/// takes whole change sets, is always at some earlier state of memory.
///
/// Invariants:
/// - What `changes` or `saving` are about is in memory (`trim` keeps it), so a read of the
///   database never meets a row that is older than memory.
/// - `isDirty` exactly if the inode is in `dirtyInodes`; the same for stripes.
final class MetadataState {
    let reader: MetadataReader
    let limits: MetadataLimits

    var inodes: GenerationalCache<InodeNumber, Inode>
    var entries: GenerationalCache<EntryKey, Child>
    var stripes: GenerationalCache<StripeID, Stripe>
    /// Blocks in the chunks of all inodes in memory.
    var blocksInMemory: UInt64 = 0

    /// Since the last commit began.
    var changes = ChangeSet()
    var dirtyInodes: [Inode] = []
    var dirtyStripes: [Stripe] = []
    /// What a commit is writing just now, without the lock.
    private(set) var saving: ChangeSet?

    /// Files made without a name that have had none yet; of other orphans none comes back.
    var unnamed: Set<InodeNumber> = []

    /// Rows of the table `passthrough` as the database has them.
    private var savedPassthroughs: Set<InodeNumber> = []

    var nextInode: UInt64
    /// The number of the next head; 0 while none are made.
    var openVersion: UInt64
    var totals: MetadataTotals
    var dirty: DirtyLedger
    /// Whether a commit of what changed was asked for that comes soon.
    var isCommitDue = false
    /// Whether the last commit failed; operations that need room then try another one first.
    var isFailing = false

    init(reader: MetadataReader, limits: MetadataLimits) throws(FileSystemError) {
        self.reader = reader
        self.limits = limits
        inodes = GenerationalCache(limit: limits.inodesCached)
        entries = GenerationalCache(limit: limits.entriesCached)
        stripes = GenerationalCache(limit: limits.stripesCached)
        let newest = try reader.number("SELECT MAX(ino) FROM inode")
        guard case .integer(let next)? = try reader.meta(MetaKey.nextInode) else {
            throw FileSystemError(.corrupt, "metadata database: it lacks \(MetaKey.nextInode)")
        }
        nextInode = max(newest + 1, UInt64(clamping: next))
        guard nextInode <= InodeRow.numberMax else {
            throw FileSystemError(.corrupt, "metadata database: inode numbers have run out")
        }
        openVersion = try reader.version(MetaKey.openVersion)
        totals = try MetadataTotals(reading: reader)
        dirty = DirtyLedger()
        for block in try reader.dirtyBlocks() {
            dirty.mark(block.key, since: block.since, bytes: block.bytes)
        }
        savedPassthroughs = Set(try reader.passthroughs().map(\.ino))
        guard try reader.inode(.root)?.attributes.kind == .directory else {
            throw FileSystemError(.corrupt, "metadata database: it has no root directory")
        }
    }

    /// Never hands out the next `count` inode numbers.
    func skipInodes(_ count: UInt64) {
        nextInode += count
        changes.nextInode = nextInode
    }

    /// A number that the store's user keeps.
    func number(_ key: String) throws(FileSystemError) -> Int64? {
        var unsaved: Int64?
        forEachUnsaved { unsaved = $0.numbers[key] ?? unsaved }
        if let unsaved { return unsaved }
        guard case .integer(let saved)? = try reader.meta(key) else { return nil }
        return saved
    }

    func setNumber(_ key: String, _ number: Int64) {
        changes.numbers[key] = number
        changes.operations += 1
    }

    // MARK: Passthrough

    func setPassthrough(_ row: Passthrough) {
        changes.passthroughs[row.ino] = .put(row)
        changes.operations += 1
    }

    /// Takes the row away; one that was never saved costs nothing.
    func removePassthrough(_ ino: InodeNumber) {
        let isUnknown = saving?.passthroughs[ino] == nil && !savedPassthroughs.contains(ino)
        changes.passthroughs[ino] = isUnknown ? nil : .remove
        changes.operations += 1
    }

    // MARK: Commits

    /// Operations whose changes the database does not have yet.
    var unsavedOperations: Int { changes.operations + (saving?.operations ?? 0) }

    /// Whether anything is not handed to a commit yet.
    var hasChanges: Bool {
        !dirtyInodes.isEmpty || !dirtyStripes.isEmpty || !changes.isEmpty
    }

    /// Hands everything changed so far to a commit; `nil` if nothing was.
    func takeChanges() -> ChangeSet? {
        precondition(saving == nil, "two commits at once")
        isCommitDue = false
        guard hasChanges else {
            // Operations that found nothing to change were counted too.
            changes.operations = 0
            return nil
        }
        var set = changes
        set.inodes.reserveCapacity(dirtyInodes.count)
        for inode in dirtyInodes {
            inode.isDirty = false
            if !inode.isReaped { set.inodes.append(inode.row) }
        }
        for stripe in dirtyStripes {
            stripe.isDirty = false
            set.stripes.append(stripe.row)
        }
        changes = ChangeSet()
        dirtyInodes = []
        dirtyStripes = []
        saving = set
        return set
    }

    /// The set taken last is in the database.
    func finishSaving() {
        for (ino, edit) in saving?.passthroughs ?? [:] {
            if case .put = edit {
                savedPassthroughs.insert(ino)
            } else {
                savedPassthroughs.remove(ino)
            }
        }
        saving = nil
        isFailing = false
    }

    /// The set taken last could not be saved: it is unsaved again, beneath what came after.
    func takeBack() {
        guard let older = saving else { return }
        saving = nil
        isFailing = true
        for row in older.inodes {
            if let inode = inodes.peek(row.attributes.ino) { markDirty(inode) }
        }
        for row in older.stripes {
            if let stripe = stripes.peek(row.id) { markDirty(stripe) }
        }
        changes.put(over: older)
    }

    /// The row of `inode` is to be saved.
    func markDirty(_ inode: Inode) {
        guard !inode.isDirty, !inode.isReaped else { return }
        inode.isDirty = true
        dirtyInodes.append(inode)
        changes.touched.insert(inode.ino)
    }

    func markDirty(_ stripe: Stripe) {
        guard !stripe.isDirty else { return }
        stripe.isDirty = true
        dirtyStripes.append(stripe)
    }

    /// Calls `body` with the sets that the database does not have yet, the older first.
    func forEachUnsaved(_ body: (ChangeSet) -> Void) {
        if let saving { body(saving) }
        body(changes)
    }

    // MARK: Bounds

    /// Forgets what was not used lately, when caches are full.
    ///
    /// Only between operations, since one that holds an inode relies on it being the one in memory.
    func trim() {
        if inodes.isFull {
            var kept: [InodeNumber] = dirtyInodes.map(\.ino)
            forEachUnsaved { kept += $0.touched }
            for inode in inodes.rotate(keeping: kept).values {
                blocksInMemory -= inode.blocksInMemory
            }
        }
        if entries.isFull {
            var kept: [EntryKey] = []
            forEachUnsaved { kept += $0.entries.keys }
            for (key, child) in entries.rotate(keeping: kept) where child.isPresent {
                inodes.peek(key.parent)?.isComplete = false
            }
        }
        if stripes.isFull {
            var kept = dirtyStripes.map(\.row.id)
            forEachUnsaved { set in
                kept += set.stripes.map(\.id)
                kept += set.shards.keys
                kept += set.forgottenShards.map(\.stripe)
            }
            _ = stripes.rotate(keeping: kept)
        }
        if blocksInMemory >= limits.blocksCached { trimBlocks() }
    }

    private func trimBlocks() {
        var kept: Set<InodeNumber> = []
        forEachUnsaved { set in
            kept.formUnion(set.blocks.keys.lazy.map(\.ino))
            kept.formUnion(set.residency.keys.lazy.map(\.ino))
        }
        var left: UInt64 = 0
        inodes.forEach { inode in
            if kept.contains(inode.ino) {
                left += inode.blocksInMemory
            } else {
                inode.chunks = [:]
                inode.blocksInMemory = 0
            }
        }
        blocksInMemory = left
    }

    // MARK: Inodes

    /// The inode, from memory or the database; orphans too.
    ///
    /// - Throws: `notFound`.
    func inode(_ ino: InodeNumber) throws(FileSystemError) -> Inode {
        if let inode = inodes.value(ino) { return inode }
        var isReaped = false
        forEachUnsaved { isReaped = isReaped || $0.reaped[ino] != nil }
        guard !isReaped, let row = try reader.inode(ino) else {
            throw FileSystemError(.notFound, "inode \(ino.rawValue) does not exist")
        }
        let inode = Inode(row)
        inode.isComplete = row.entryCount == 0
        inodes.insert(inode, for: ino)
        return inode
    }

    /// The inode, if it is a directory that is not removed.
    func directory(_ ino: InodeNumber) throws(FileSystemError) -> Inode {
        let inode = try inode(ino)
        guard inode.isDirectory else {
            throw FileSystemError(.notDirectory, "inode \(ino.rawValue) is not a directory")
        }
        guard inode.row.attributes.linkCount > 0 else {
            throw FileSystemError(.notFound, "directory \(ino.rawValue) is removed")
        }
        return inode
    }

    /// What `name` leads to in `directory`; `nil` if it is absent.
    func child(
        _ name: EntryName,
        in directory: Inode
    ) throws(FileSystemError) -> Child? {
        let key = EntryKey(parent: directory.ino, name: name)
        if let child = entries.value(key) { return child.isPresent ? child : nil }
        if directory.isComplete { return nil }
        let child = try reader.entry(key)
        entries.insert(child ?? .absent, for: key)
        return child
    }

    /// The inode that an entry leads to.
    func inode(of child: Child, named name: EntryName) throws(FileSystemError) -> Inode {
        do {
            return try inode(child.ino)
        } catch  where error.code == .notFound {
            throw FileSystemError(
                .corrupt,
                "metadata database: \"\(name)\" leads to inode \(child.ino.rawValue), "
                    + "which is missing"
            )
        }
    }

    /// As `child`, but absence is an error.
    func existing(
        _ name: EntryName,
        in directory: Inode
    ) throws(FileSystemError) -> Child {
        guard let child = try child(name, in: directory) else {
            throw FileSystemError(
                .notFound,
                "\"\(name)\" does not exist in directory \(directory.ino.rawValue)"
            )
        }
        return child
    }
}
