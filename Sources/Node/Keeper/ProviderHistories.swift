import Primitives
import Proofs
import Reliability
import SQLite
import Sealing
import Synchronization
import Wire

/// What the keeper saw and was told of each provider, in memory; written down from time to time.
final class ProviderHistories: Sendable {
    /// One report of an audit, as it counts for a provider.
    struct Sample {
        let verdict: Verdict
        let leaves: Int
    }

    private struct Entry {
        var history: ProviderHistory
        /// As of the last heartbeat; `nil` before the first since the start.
        var damagedShards: UInt64?
        /// Differs from the database.
        var isChanged = true
    }

    private struct Scores {
        var list: [SignedScore] = []
        var madeAt: Timestamp?
    }

    /// Signed scores are given again for so many seconds.
    private static let scoresFreshFor: Double = 5

    private let entries: Mutex<[NodeID: Entry]>
    private let scores = Mutex(Scores())

    /// Reads what was written down; a history that cannot be read begins anew.
    init(database: KeeperDatabase) throws(NodeError) {
        do {
            let rows = try database.withLock { database in
                try database.query("SELECT provider, history FROM histories") {
                    ($0.blob(0), $0.blob(1))
                }
            }
            var entries: [NodeID: Entry] = [:]
            for (id, bytes) in rows {
                guard let id = NodeID(bytes: id),
                    let history = try? ProviderHistory(decoding: bytes)
                else { continue }
                entries[id] = Entry(history: history, isChanged: false)
            }
            self.entries = Mutex(entries)
        } catch let error as SQLiteError {
            throw NodeError(error)
        } catch {
            throw NodeError("\(error)")
        }
    }

    // MARK: Samples

    /// A heartbeat came; shards that the provider found damaged since the last one count as lost,
    /// told by itself.
    func noteBeat(of id: NodeID, damagedShards: UInt64, now: Timestamp) {
        entries.withLock { entries in
            var entry = entries[id] ?? Entry(history: ProviderHistory(firstSeen: now))
            entry.history.noteSeen(up: true, at: now)
            if let before = entry.damagedShards, damagedShards > before {
                entry.history.noteRepair(
                    lostShards: Int(clamping: damagedShards - before),
                    selfReported: true,
                    at: now
                )
            }
            entry.damagedShards = damagedShards
            entry.isChanged = true
            entries[id] = entry
        }
    }

    /// Nothing was heard of it for too long.
    func noteSilence(of id: NodeID, now: Timestamp) {
        entries.withLock { entries in
            guard entries[id] != nil else { return }
            entries[id]?.history.noteSeen(up: false, at: now)
            entries[id]?.isChanged = true
        }
    }

    /// Audits of a provider that is known.
    ///
    /// - Returns: its history for the database; `nil` if it is not known.
    func note(_ samples: [Sample], of id: NodeID, now: Timestamp) -> [UInt8]? {
        entries.withLock { entries in
            guard var entry = entries[id] else { return nil }
            for sample in samples {
                entry.history.note(sample.verdict, leaves: sample.leaves, at: now)
            }
            entry.isChanged = true
            entries[id] = entry
            return entry.history.encoded
        }
    }

    func forget(_ id: NodeID) {
        entries.withLock { $0[id] = nil }
    }

    func firstSeen(_ id: NodeID) -> Timestamp? {
        entries.withLock { $0[id]?.history.firstSeen }
    }

    // MARK: Scores

    /// Scores of all providers known, ascending by id, signed; seldom older than 5 s.
    func signedScores(by identity: SigningKey, now: Timestamp) throws -> [SignedScore] {
        try scores.withLock { scores in
            if let madeAt = scores.madeAt,
                (0..<Self.scoresFreshFor).contains(now.seconds(since: madeAt))
            {
                return scores.list
            }
            let histories = entries.withLock { $0.mapValues(\.history) }
            scores.list = try histories.sorted { $0.key < $1.key }.map { id, history in
                try SignedScore(
                    provider: id,
                    at: now,
                    score: Score(of: history, at: now),
                    signedBy: identity
                )
            }
            scores.madeAt = now
            return scores.list
        }
    }

    // MARK: Writing down

    /// The histories that differ from the database, which from now on count as written.
    func takeChanges() -> [(id: NodeID, bytes: [UInt8])] {
        entries.withLock { entries in
            let changed = entries.filter(\.value.isChanged).keys
            for id in changed { entries[id]?.isChanged = false }
            return changed.compactMap { id in
                entries[id].map { (id, $0.history.encoded) }
            }
        }
    }
}
