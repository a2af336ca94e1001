import Disk
import Lease
import Logging
import Network
import Primitives
import SQLite
import Synchronization
import Transport
import Wire

/// The writer leases of registered volumes: promises in `keeper.db`, and in memory when their
/// holders were heard of last.
///
/// A promise changes with the database locked, and is on disk before it is answered. A renewal
/// writes nothing: after a restart every lease counts as renewed just then.
final class LeaseStore: Sendable {
    private struct Entry {
        var lease: VolumeLease
        let owner: NodeID
        /// Whether the promise is on disk; else a renewal writes it.
        var isDurable: Bool
    }

    private let database: KeeperDatabase
    private let times: LeaseTimes
    private let logger: Logger
    /// Never locked around the database; promises change with the database locked.
    private let entries: Mutex<[VolumeID: Entry]>

    /// Reads what was promised.
    init(
        database: KeeperDatabase,
        times: LeaseTimes,
        logger: Logger
    ) throws(NodeError) {
        self.database = database
        self.logger = logger
        self.times = times
        do {
            let rows = try database.withLock { database in
                try database.query(
                    """
                    SELECT volume, owner, term, holder, label, released
                    FROM leases JOIN volumes ON id = volume
                    """
                ) { row in
                    (
                        (row.blob(0), row.blob(1)), row.integer(2), row.blob(3), row.text(4),
                        row.integer(5)
                    )
                }
            }
            var entries: [VolumeID: Entry] = [:]
            for (ids, term, holder, label, released) in rows {
                guard let volume = VolumeID(bytes: ids.0), let owner = NodeID(bytes: ids.1),
                    let term = UInt64(exactly: term), let holder = LeaseHolder(bytes: holder)
                else { throw DecodeError.corrupt("a lease") }
                let lease = VolumeLease(
                    term: term,
                    holder: holder,
                    label: label,
                    isReleased: released != 0,
                    heardAt: Clock.sinceBoot()
                )
                entries[volume] = Entry(lease: lease, owner: owner, isDurable: true)
            }
            self.entries = Mutex(entries)
        } catch let error as SQLiteError {
            throw NodeError(error)
        } catch {
            throw NodeError(.corrupt, "the keeper's database is damaged: \(error)")
        }
    }

    /// The newest term promised for a volume; 0 for none.
    func term(of volume: VolumeID) -> UInt64 {
        entries.withLock { $0[volume]?.lease.term ?? 0 }
    }

    /// Grants, renews or refuses a lease, or tells how it stands.
    func hold(_ query: HoldLease, from peer: NodeID) throws -> LeaseState {
        if let state = renew(query, from: peer) { return state }
        let (state, promise) = try database.transaction { database in
            try KeeperState.checkRegistered(query.volume, of: peer, in: database)
            let head = try HeadStore.head(of: query.volume, in: database)
            let (state, promise) = decide(query, from: peer, headTerm: head?.term ?? 0)
            if let promise { try Self.write(promise, of: query.volume, to: database) }
            return (state, promise)
        }
        if let promise {
            entries.withLock { entries in
                guard entries[query.volume]?.lease.term == promise.term else { return }
                entries[query.volume]?.isDurable = true
            }
            logger.info(
                "\"\(promise.label)\" may write volume \(query.volume.short), term \(promise.term)"
            )
        }
        return state
    }

    /// Ends a lease of that holder under that term; any other is left alone.
    func release(_ query: ReleaseLease, from peer: NodeID) throws {
        try database.transaction { database in
            try KeeperState.checkRegistered(query.volume, of: peer, in: database)
            let released = entries.withLock { entries -> VolumeLease? in
                guard var lease = entries[query.volume]?.lease, lease.term == query.term,
                    lease.holder == query.holder, !lease.isReleased
                else { return nil }
                lease.isReleased = true
                entries[query.volume]?.lease = lease
                return lease
            }
            if let released { try Self.write(released, of: query.volume, to: database) }
        }
    }

    /// Renews without the database what is promised durably; `nil` if more is to be done.
    private func renew(_ query: HoldLease, from peer: NodeID) -> LeaseState? {
        let now = Clock.sinceBoot()
        return entries.withLock { entries in
            guard let entry = entries[query.volume], entry.owner == peer, entry.isDurable,
                case .renewed(let lease) = VolumeLease.outcome(
                    of: query.request,
                    present: entry.lease,
                    headTerm: 0,
                    at: max(now, entry.lease.heardAt),
                    times
                )
            else { return nil }
            entries[query.volume]?.lease = lease
            return VolumeLease.state(
                for: query.request,
                lease: lease,
                headTerm: 0,
                at: lease.heardAt,
                times
            )
        }
    }

    /// Changes memory, so that nobody renews what another was promised while that is written.
    ///
    /// - Returns: the answer, and what to write before it is given.
    private func decide(
        _ query: HoldLease,
        from peer: NodeID,
        headTerm: UInt64
    ) -> (state: LeaseState, promise: VolumeLease?) {
        let request = query.request
        let now = Clock.sinceBoot()
        return entries.withLock { entries in
            var entry = entries[query.volume]
            var promise: VolumeLease?
            switch VolumeLease.outcome(
                of: request,
                present: entry?.lease,
                headTerm: headTerm,
                at: now,
                times
            ) {
            case .granted(let lease):
                promise = lease
                entry = Entry(lease: lease, owner: peer, isDurable: false)
            case .renewed(let lease):
                if entry?.isDurable != true { promise = lease }
                entry?.lease = lease
            case .refused: break
            }
            entries[query.volume] = entry
            let state = VolumeLease.state(
                for: request,
                lease: entry?.lease,
                headTerm: headTerm,
                at: now,
                times
            )
            return (state, promise)
        }
    }

    private static func write(
        _ lease: VolumeLease,
        of volume: VolumeID,
        to database: Database
    ) throws {
        try database.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)",
            .blob(volume.bytes),
            .integer(Int64(clamping: lease.term)),
            .blob(lease.holder.bytes),
            .text(lease.label),
            .integer(lease.isReleased ? 1 : 0)
        )
    }
}
