/// One kind of repair of a metadata database, in the order in which they are made.
///
/// Each looks at the database as those before it left it, changes what is wrong and nothing else,
/// and may be made again. `docs/fsck.md` tells the rule of each.
package enum RepairStep: Int, Sendable, CaseIterable, Comparable {
    /// Tables, columns and indices are those of a new database.
    case schema
    case meta
    case inodes
    case root
    /// Inodes that are gone while their content or entries are there.
    case lostInodes
    case names
    case entries
    /// A directory has one name, and its parent is where that is.
    case directories
    /// What no way from the root leads to is moved to `lost+found`.
    case unreachable
    case cookies
    case links
    case orphans
    case targets
    case attributes
    case keys
    case rowsOfNobody
    case stripes
    case shards
    case blocks
    case residency
    /// Blocks that are counted and have no row.
    case blockCounts
    case heldBytes
    case snapshots
    case checkpoint
    case stripeCounts

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }

    /// What a kind of finding asks for; empty if the database alone cannot be repaired of it.
    static func steps(for kind: CheckFinding.Kind) -> [RepairStep] {
        switch kind {
        case .wrongSchema: [.schema]
        case .badMeta: [.meta]
        case .badInode: [.inodes, .root, .links, .attributes, .blockCounts]
        case .badName: [.names]
        case .danglingEntry: [.lostInodes, .entries, .unreachable, .links]
        case .entryOutsideDirectory: [.lostInodes, .entries, .unreachable, .links]
        case .badCookie, .sharedCookie: [.cookies]
        case .wrongLinkCount, .wrongEntryCount: [.links, .orphans]
        case .wrongParent: [.entries, .directories, .unreachable, .links]
        case .unreachableInode: [.directories, .unreachable, .links]
        case .wrongOrphan: [.unreachable, .links, .orphans]
        case .missingTarget, .targetOfNobody, .wrongTarget: [.lostInodes, .targets, .links]
        case .badAttribute, .attributeOfNobody, .wrongAttributeBytes: [.attributes]
        case .missingKey, .keyOfNobody, .wrongKey: [.lostInodes, .keys, .stripeCounts]
        case .blockOfNobody, .residencyOfNobody: [.lostInodes, .rowsOfNobody, .stripeCounts]
        case .badBlock, .blockPastEnd, .blockWithoutStripe, .blockOutsideStripe:
            [.stripes, .shards, .blocks, .blockCounts, .heldBytes, .stripeCounts]
        case .wrongBlockCount: [.blockCounts]
        case .badResidency, .residencyPastEnd, .badDirtyMark:
            [.residency, .heldBytes, .blockCounts]
        case .wrongHeldBytes: [.heldBytes]
        case .badStripe, .badShard, .shardOfNobody, .wrongShardCount, .sharedProvider,
            .deadShardInUse:
            [.stripes, .shards, .blocks, .stripeCounts]
        case .wrongStripeCount: [.stripeCounts]
        case .badCheckpoint: [.checkpoint, .stripeCounts]
        case .badSnapshot: [.snapshots]
        case .databaseMissing, .databaseDamaged, .overlappingBlocks, .cacheMissing,
            .cacheFileMissing, .cacheFileShort, .cacheHole, .cacheBytesInHole, .cacheBytesPastEnd,
            .cacheFileOfNobody, .wrongCacheBytes, .unreadableCacheFile, .shardMissing, .wrongShard,
            .stripeLost, .unreadableBlock:
            []
        }
    }

    /// The repairs that findings of these kinds ask for, in order.
    package static func plan(for kinds: some Sequence<CheckFinding.Kind>) -> [RepairStep] {
        Set(kinds.flatMap { steps(for: $0) }).sorted()
    }
}
