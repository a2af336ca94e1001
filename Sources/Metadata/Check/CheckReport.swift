/// What a check of a volume has found, and how much it has looked at.
package struct CheckReport: Sendable {
    /// Findings kept of one kind; what exceeds it is counted.
    ///
    /// Damage of one cause has a thousand effects, and the first tell as much as all.
    package static let findingsOfKindMax = 100

    /// At most `findingsOfKindMax` of each kind, in the order in which they were found.
    package private(set) var findings: [CheckFinding] = []
    /// All findings by kind, those that are not in `findings` too.
    package private(set) var counts: [CheckFinding.Kind: UInt64] = [:]
    /// What the next mount will see to, in the order in which it was met.
    package private(set) var notes: [CheckNote] = []

    /// Whether the volume was closed in order when it was last in use.
    package internal(set) var wasCleanlyClosed = true
    package var inodes: UInt64 = 0
    package var entries: UInt64 = 0
    package var blocks: UInt64 = 0
    package var dirtyBlocks: UInt64 = 0
    package var stripes: UInt64 = 0
    package var shards: UInt64 = 0
    package var cacheFiles: UInt64 = 0
    /// Bytes of cache files that were read.
    package var cacheBytesRead: UInt64 = 0
    /// Shards that were seen at their providers, or read whole in a deep check.
    package var shardsSeen: UInt64 = 0

    package init() {}

    /// Whether nothing is wrong.
    package var isClean: Bool { counts.isEmpty }
    /// All findings, those that are not in `findings` too.
    package var findingCount: UInt64 { counts.values.reduce(0, +) }

    package mutating func add(_ finding: CheckFinding) {
        let count = counts[finding.kind, default: 0] + 1
        counts[finding.kind] = count
        if count <= Self.findingsOfKindMax { findings.append(finding) }
    }

    /// The same without findings of these kinds.
    package func without(_ kinds: Set<CheckFinding.Kind>) -> CheckReport {
        var report = self
        report.findings.removeAll { kinds.contains($0.kind) }
        report.counts = counts.filter { !kinds.contains($0.key) }
        return report
    }

    package mutating func note(_ kind: CheckNote.Kind, count: UInt64 = 1) {
        guard count > 0 else { return }
        if let index = notes.firstIndex(where: { $0.kind == kind }) {
            notes[index].count += count
        } else {
            notes.append(CheckNote(kind: kind, count: count))
        }
    }
}

/// How far a check has come.
package struct CheckProgress: Sendable {
    /// The parts of a check, in order.
    package enum Phase: String, Sendable, CaseIterable {
        case database, names, content, stripes, cache, keys, providers
    }

    package let phase: Phase
    /// Steps done of this phase, and of how many; 0 of 0 where nobody knows.
    package let done: UInt64
    package let total: UInt64

    package init(_ phase: Phase, done: UInt64 = 0, total: UInt64 = 0) {
        self.phase = phase
        self.done = done
        self.total = total
    }
}
