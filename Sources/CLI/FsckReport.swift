import Home
import Metadata
import Primitives
import Volume

/// What `mefs fsck` prints; its JSON is what `--json` does.
struct FsckReport: Encodable {
    private struct Finding: Encodable {
        let kind, subject, message: String
        /// The path of the inode it is about, from the volume's root.
        let path: String?
    }

    private struct Action: Encodable {
        let subject, message: String
        let path: String?
        /// Whether something is lost for good.
        let isLoss: Bool
    }

    private struct Note: Encodable {
        let kind: String
        let count: UInt64
        let message: String
    }

    private let volume: String
    private let isDryRun: Bool
    private let isClean: Bool
    private let wasCleanlyClosed: Bool
    /// At most 100 of each kind.
    private let findings: [Finding]
    private let findingCount: UInt64
    private let findingsByKind: [String: UInt64]
    /// What was done about them, or would be; at most 1000.
    private let repairs: [Action]
    private let repairCount: UInt64
    /// What is found after that.
    private let left: [Finding]
    private let leftCount: UInt64
    /// Files that have lost blocks, now or from before; at most 1000.
    private let lostFiles: [String]
    /// Where the database as it was before is kept.
    private let copy: String?
    private let hopeless: String?
    private let notes: [Note]
    private let inodes, entries, blocks, dirtyBlocks, stripes, shards, cacheFiles: UInt64
    private let shardsSeen: UInt64
    /// As `fsck(8)` ends.
    let status: Int32

    init(_ outcome: VolumeRepair.Outcome, of volume: VolumeDirectory, isDry: Bool) {
        func finding(_ finding: CheckFinding) -> Finding {
            Finding(
                kind: finding.kind.rawValue,
                subject: finding.subject,
                message: finding.message,
                path: finding.ino.flatMap { outcome.paths[$0] }
            )
        }
        let found = outcome.found
        self.volume = volume.name
        isDryRun = isDry
        isClean = found.isClean
        wasCleanlyClosed = found.wasCleanlyClosed
        findings = found.findings.map(finding)
        findingCount = found.findingCount
        findingsByKind = Dictionary(
            found.counts.map { ($0.key.rawValue, $0.value) },
            uniquingKeysWith: +
        )
        repairs = outcome.repair.actions.map { action in
            Action(
                subject: action.subject,
                message: action.message,
                path: action.ino.flatMap { outcome.paths[$0] },
                isLoss: action.isLoss
            )
        }
        repairCount = outcome.repair.count
        left = outcome.left.findings.map(finding)
        leftCount = outcome.left.findingCount
        lostFiles = outcome.lostFiles.map { outcome.paths[$0] ?? "inode \($0.rawValue)" }
        copy = outcome.repair.copy
        hopeless = outcome.hopeless
        notes = outcome.left.notes.map {
            Note(kind: $0.kind.rawValue, count: $0.count, message: $0.text)
        }
        let after = outcome.left
        inodes = after.inodes
        entries = after.entries
        blocks = after.blocks
        dirtyBlocks = after.dirtyBlocks
        stripes = after.stripes
        shards = after.shards
        cacheFiles = after.cacheFiles
        shardsSeen = found.shardsSeen
        if found.isClean {
            status = 0
        } else if isDry {
            status = 4
        } else {
            status = (outcome.hasRepaired ? 1 : 0) | (outcome.hasLoss ? 4 : 0)
        }
    }

    /// Prints it for people.
    func print() {
        show(findings, of: findingCount)
        for action in repairs {
            let path = action.path.map { " (\($0))" } ?? ""
            let verb = isDryRun ? "would be done" : action.isLoss ? "lost" : "repaired"
            Output.line("\(verb): \(action.subject)\(path): \(action.message)")
        }
        let hidden = repairCount - UInt64(repairs.count)
        if hidden > 0 { Output.line("and \(Readable.count(hidden)) more repairs") }
        if !left.isEmpty, !isClean, repairCount > 0 {
            Output.line("left:")
            show(left, of: leftCount)
        }
        for note in notes { Output.line("note: \(note.message)") }
        for path in lostFiles { Output.line("lost blocks: \(path)") }
        if let hopeless { Output.line(hopeless) }
        Output.line(
            "\(volume): \(Readable.count(inodes)) inodes, \(Readable.count(entries)) entries,"
                + " \(Readable.count(blocks)) placed blocks,"
                + " \(Readable.count(dirtyBlocks)) changed,"
                + " \(Readable.count(stripes)) stripes, \(Readable.count(cacheFiles)) cache files"
                + (shardsSeen > 0 ? ", \(Readable.count(shardsSeen)) shards seen" : "")
        )
        Output.line("\(volume): \(verdict)")
        if let copy, repairCount > 0 {
            Output.line("\(volume): the database as it was before is \(copy)")
        }
    }

    private func show(_ findings: [Finding], of count: UInt64) {
        for finding in findings {
            let path = finding.path.map { " (\($0))" } ?? ""
            Output.line("\(finding.subject)\(path): \(finding.message) [\(finding.kind)]")
        }
        let hidden = count - UInt64(findings.count)
        if hidden > 0 { Output.line("and \(Readable.count(hidden)) more of these kinds") }
    }

    private var verdict: String {
        if isClean { return "nothing wrong found" }
        let found = "\(Readable.count(findingCount)) findings"
        if isDryRun {
            return "\(found); \(Readable.count(repairCount)) repairs would be made, nothing was"
                + " changed"
        }
        let made = "\(found), \(Readable.count(repairCount)) repairs"
        return leftCount == 0
            ? "\(made); nothing wrong is left" + (lostFiles.isEmpty ? "" : ", but blocks are lost")
            : "\(made); \(Readable.count(leftCount)) findings are left, see mefs-fsck(8)"
    }
}

extension CheckNote {
    /// The note for people.
    fileprivate var text: String {
        let count = Readable.count(count)
        return switch kind {
        case .uncleanStop: "the volume was not unmounted in order; the next mount recovers it"
        case .orphan: "\(count) unlinked inodes; the next mount removes them"
        case .placingStripe: "\(count) stripes were being placed; the next mount gives them up"
        case .strayCacheFile: "\(count) cache files of no inode; the next mount removes them"
        case .strayCacheBytes:
            "\(count) places of cached bytes of no block; the next mount clears them"
        case .cacheForgotten:
            "the cache is gone and held no changes; the next mount begins a new one"
        case .clearedResidency:
            "\(count) cached blocks are not cached any more; they will be fetched"
        case .unsyncedChange: "\(count) changed blocks that no sync acknowledged; they may go back"
        case .futureDirtyMark: "\(count) changes are later than the clock, which was set back"
        case .lostBlock: "\(count) blocks are lost; reading them fails until they are overwritten"
        case .rewrittenStripe: "\(count) stripes; the next mount places their blocks anew"
        case .doubtfulShard: "\(count) shards are missing or wrong; the next mount rebuilds them"
        case .unseenShard: "\(count) shards at providers that did not answer were not looked at"
        }
    }
}
