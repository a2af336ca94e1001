import Disk
package import Primitives
import SQLite

/// Repairs the metadata database of a volume that nobody has open, in one transaction.
///
/// A copy of the database is kept beside it first. Then the steps of a plan are made
/// (`RepairStep`), the caller checks again through `check`, and so on until nothing is left that a
/// step is for; `commit` makes it all so, and dropping it undoes it. Not thread-safe.
package final class MetadataRepair {
    /// Added to the database's path: what it was before the last repair.
    package static let copySuffix = ".before-fsck"
    /// Added to the database's path: a copy on which a repair is tried.
    private static let trialSuffix = ".fsck-trial"

    /// Everything that was done.
    package internal(set) var report: RepairReport
    /// What is known of the cache.
    package var context: RepairContext
    let database: Database
    /// Rows changed so far.
    private var edits = 0
    /// The last mark of a change that was dealt.
    var lastToken: Int64?
    private let lock: FileLock
    private let trial: String?

    /// Locks the database at `path`, copies it, makes its structure whole, and begins.
    ///
    /// `isTrial`: works on a copy, which goes with the repair, so that nothing is changed.
    ///
    /// - Throws: `corrupt` if nothing can be read of it, `invalid` if it is in use or of another
    ///   program or version, `noSpace` if there is no room for the copy.
    package init(
        opening path: String,
        context: RepairContext,
        isTrial: Bool
    ) throws(FileSystemError) {
        self.context = context
        lock = try MetadataCheck.lock(path)
        let copy = path + (isTrial ? Self.trialSuffix : Self.copySuffix)
        var report = RepairReport()
        do {
            try DatabaseCopy.make(of: path, at: copy)
            database = try DatabaseMending.open(isTrial ? copy : path, &report)
        } catch {
            if isTrial { DatabaseCopy.remove(copy) }
            lock.release()
            throw error
        }
        trial = isTrial ? copy : nil
        if !isTrial { report.copy = copy }
        self.report = report
    }

    deinit {
        database.rollback()
        if let trial { DatabaseCopy.remove(trial) }
        lock.release()
    }

    /// A look at the database as the repair has it by now.
    package private(set) lazy var check = MetadataCheck(database)

    /// Makes the repairs of a plan.
    package func make(_ steps: [RepairStep]) throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            for step in steps.sorted() { try make(step) }
        }
    }

    /// Turns of checking and repairing: one repair may uncover what another is for.
    private static let roundsMax = 8

    /// Checks and repairs rows until nothing is found that a step is for.
    package func settle(
        progress: (CheckProgress) -> Void = { _ in }
    ) throws(FileSystemError) {
        var before: Int?
        for _ in 0..<Self.roundsMax {
            var found = CheckReport()
            _ = try check.run(into: &found, progress: progress)
            let plan = RepairStep.plan(for: found.counts.keys)
            // What was of no use once is of none twice.
            guard !plan.isEmpty, before != edits else { return }
            before = edits
            try make(plan)
        }
    }

    /// Makes what was done so; a trial forgets it.
    package func commit() throws(FileSystemError) {
        guard trial == nil, report.count > 0 || edits > 0 else { return database.rollback() }
        try converting { () throws(SQLiteError) in
            try askForBase()
            try database.execute(
                "INSERT INTO meta(key, value) VALUES(?, 1) "
                    + "ON CONFLICT(key) DO UPDATE SET value = CASE typeof(value) "
                    + "WHEN 'integer' THEN value + 1 ELSE 1 END",
                .text(MetaKey.fsckCount)
            )
            try database.execute("COMMIT")
            try database.checkpoint(.truncate)
        }
    }

    private func make(_ step: RepairStep) throws(SQLiteError) {
        switch step {
        case .schema: try repairSchema()
        case .meta: try repairMeta()
        case .inodes: try repairInodes()
        case .root: try repairRoot()
        case .lostInodes: try rebuildInodes()
        case .names: try repairNames()
        case .entries: try removeEntries()
        case .directories: try repairDirectories()
        case .unreachable: try collectUnreachable()
        case .cookies: try dealCookies()
        case .links: try countLinks()
        case .orphans: try listOrphans()
        case .targets: try repairTargets()
        case .attributes: try repairAttributes()
        case .keys: try repairKeys()
        case .rowsOfNobody: try removeRowsOfNobody()
        case .stripes: try repairStripes()
        case .shards: try repairShards()
        case .blocks: try repairBlocks()
        case .residency: try repairResidency()
        case .blockCounts: try countBlocks()
        case .heldBytes: try countHeldBytes()
        case .stripeCounts: try countStripes()
        case .snapshots: try repairSnapshots()
        case .checkpoint: try repairCheckpoint()
        }
    }

    // MARK: For the steps

    /// Notes an action for each row of `sql`: its subject, and what becomes of it.
    func list(_ sql: String, isLoss: Bool = false) throws(SQLiteError) {
        let statement = try database.prepare(sql)
        while try statement.step() {
            report.add(RepairAction(statement.text(0), statement.text(1), isLoss: isLoss))
        }
    }

    /// Runs one statement, and counts the rows that it changes.
    func run(_ sql: String, _ values: Value...) throws(SQLiteError) {
        let statement = try database.prepare(sql)
        try statement.bind(all: values)
        try statement.run()
        let word = sql.prefix { $0.isLetter }
        switch word {
        case "UPDATE", "DELETE", "INSERT", "REPLACE": edits += database.changes
        case "ALTER": edits += 1
        case "CREATE", "DROP": edits += sql.contains("temp.") || sql.contains(" TEMP ") ? 0 : 1
        default: break
        }
    }

    /// Every row of `sql` as `decode` makes it; rows it has no value for are left out.
    func rows<T>(
        _ sql: String,
        _ values: Value...,
        decode: (Statement) -> T?
    ) throws(SQLiteError) -> [T] {
        let statement = try database.prepare(sql)
        try statement.bind(all: values)
        var found: [T] = []
        while try statement.step() {
            if let row = decode(statement) { found.append(row) }
        }
        return found
    }

    /// The number that the next inode is to have.
    func newInode() throws(SQLiteError) -> Int64 {
        let number = max(
            try database.integer("SELECT value FROM meta WHERE key = 'next_inode'"),
            try database.integer("SELECT MAX(ino) + 1 FROM inode")
        )
        try run("REPLACE INTO meta(key, value) VALUES('next_inode', ?)", .integer(number + 1))
        return number
    }

    /// Now, as the database keeps the mark of a change.
    var nowToken: Int64 { context.now.nanosecondsSince1970 }
}
