package import Primitives

/// One thing that a repair changed, or would change.
package struct RepairAction: Hashable, Sendable, CustomStringConvertible {
    /// What it is about: "inode 17", "stripe 2f…", a path.
    package let subject: String
    /// What became of it.
    package let message: String
    /// Whether something is lost for good: a name without an inode, bytes that nobody has.
    package let isLoss: Bool

    package init(_ subject: String, _ message: String, isLoss: Bool = false) {
        self.subject = CheckText.printable(subject)
        self.message = CheckText.printable(message)
        self.isLoss = isLoss
    }

    package var description: String { "\(subject): \(message)" }
}

/// What a repair changed, or would change.
package struct RepairReport: Sendable {
    /// Actions kept; what exceeds it is counted.
    package static let actionsMax = 1000
    /// Inodes kept of which blocks are lost.
    package static let lostFilesMax = 1000

    /// At most `actionsMax`, in the order in which they were made.
    package private(set) var actions: [RepairAction] = []
    /// All actions, those that are not in `actions` too.
    package private(set) var count: UInt64 = 0
    /// Actions by which something is lost for good.
    package private(set) var losses: UInt64 = 0
    /// Files that have lost blocks by what was found now, at most `lostFilesMax`.
    package private(set) var lostFiles: Set<InodeNumber> = []
    /// Whether rows are lost that told what the cache holds.
    package internal(set) var hasLostResidency = false
    /// Where the database as it was before is kept; `nil` if it was not changed.
    package internal(set) var copy: String?

    package init() {}

    package mutating func add(_ action: RepairAction) {
        count += 1
        if action.isLoss { losses += 1 }
        if actions.count < Self.actionsMax { actions.append(action) }
    }

    /// Notes that bytes of the file are lost.
    mutating func noteLost(_ ino: InodeNumber) {
        if lostFiles.count < Self.lostFilesMax { lostFiles.insert(ino) }
    }
}

/// What a repair of the database is to know of the world around it.
package struct RepairContext: Sendable {
    /// The code of the volume's stripes.
    package var code: ErasureCode
    package var now: Timestamp
    /// Whether what the rows call cached is cached: the cache is this volume's, and no power cut
    /// came between.
    package var isCacheRight: Bool
    /// Bytes of an inode's cache file; `nil` if it has none.
    package var cachedBytes: @Sendable (InodeNumber) -> UInt64?
    /// Whether the cache file has data in each of those 64 KiB segments of a block.
    package var cachedSegments: @Sendable (BlockKey) -> UInt16

    /// A world in which nothing is cached.
    package init(code: ErasureCode, now: Timestamp) {
        self.code = code
        self.now = now
        isCacheRight = false
        cachedBytes = { _ in nil }
        cachedSegments = { _ in 0 }
    }
}
