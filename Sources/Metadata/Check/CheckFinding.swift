/// Something in a volume that no program of this format leaves behind: damage, or a bug.
///
/// What a crash leaves in order, and the next mount sees to, is a `CheckNote` and not a finding.
package struct CheckFinding: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong; `docs/fsck.md` tells of each what it means and what to do.
    package enum Kind: String, Sendable, CaseIterable {
        // The database as a whole.
        case databaseMissing, databaseDamaged, wrongSchema, badMeta
        // Names and inodes.
        case badInode, badName, danglingEntry, entryOutsideDirectory, badCookie, sharedCookie
        case wrongLinkCount, wrongEntryCount, wrongParent, unreachableInode, wrongOrphan
        case missingTarget, targetOfNobody, wrongTarget
        case badAttribute, attributeOfNobody, wrongAttributeBytes
        // Content.
        case missingKey, keyOfNobody, wrongKey
        case badBlock, blockOfNobody, blockPastEnd, wrongBlockCount
        case badResidency, residencyOfNobody, residencyPastEnd, wrongHeldBytes, badDirtyMark
        // Stripes.
        case badStripe, blockWithoutStripe, blockOutsideStripe, overlappingBlocks
        case wrongStripeCount, badShard, shardOfNobody, wrongShardCount, sharedProvider
        case deadShardInUse
        // Checkpoints and kept heads.
        case badCheckpoint, badSnapshot
        // The cache directory.
        case cacheMissing, cacheFileMissing, cacheFileShort, cacheHole, cacheBytesInHole
        case cacheBytesPastEnd, cacheFileOfNobody, wrongCacheBytes, unreadableCacheFile
        // The providers.
        case shardMissing, wrongShard, stripeLost, unreadableBlock
    }

    package let kind: Kind
    /// What it is about: "inode 17", "stripe 2f…", a path.
    package let subject: String
    package let message: String

    package init(_ kind: Kind, _ subject: String, _ message: String) {
        self.kind = kind
        self.subject = CheckText.printable(subject)
        self.message = CheckText.printable(message)
    }

    package var description: String { "\(subject): \(message) [\(kind.rawValue)]" }
}

/// Something that is as it should be after an unclean stop, and that the next mount sees to; or
/// that could not be looked at.
package struct CheckNote: Hashable, Sendable {
    /// What the next mount will see to.
    package enum Kind: String, Sendable, CaseIterable {
        /// The volume was not closed in order; the next mount recovers it.
        case uncleanStop
        /// Inodes without a name, which the next mount removes.
        case orphan
        /// Stripes that were being placed, which the next mount gives up.
        case placingStripe
        /// Cache files of inodes that were never committed, which the next mount removes.
        case strayCacheFile
        /// Cached bytes that nothing names, which the next mount punches out.
        case strayCacheBytes
        /// The cache is gone or another volume's, and held no changes: it begins anew.
        case cacheForgotten
        /// Blocks noted as cached whose cache file is gone: they will be fetched.
        case clearedResidency
        /// Changes that no sync had acknowledged, which a power cut may take back.
        case unsyncedChange
        /// Dirty marks later than the clock: it was set back.
        case futureDirtyMark
        /// Shards at providers that did not answer, so that nothing is known of them.
        case unseenShard
        /// Blocks that a check found lost: reading them fails.
        case lostBlock
        /// Stripes that bear fewer losses than they should, which the next mount places anew.
        case rewrittenStripe
        /// Shards that a check found missing or wrong, which the next mount rebuilds.
        case doubtfulShard
    }

    package let kind: Kind
    /// How many of them.
    package internal(set) var count: UInt64
}

/// Text of a damaged database, made fit for a terminal and a log.
enum CheckText {
    /// Longer text is cut: a damaged row may hold megabytes.
    private static let charactersMax = 400

    /// The text on one line, without control characters.
    static func printable(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(charactersMax) {
            let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
            result.append(isControl ? "?" : scalar)
        }
        return String(result)
    }
}
