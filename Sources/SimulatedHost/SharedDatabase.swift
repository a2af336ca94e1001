import CSQLite
import Synchronization

/// What the connections of one process to one database share: locks, and the index of its log.
///
/// SQLite keeps the index in a file that all map ("-shm") and makes it anew whenever nobody has it
/// open; so it lives no longer than the process, and memory serves.
final class SharedDatabase: Sendable {
    private struct State: @unchecked Sendable {
        // SAFETY: the regions are memory that only SQLite touches; they are made under the lock and
        // freed with the last reference to this object.
        var regions: [UnsafeMutableRawPointer] = []
        /// Of each connection, one of SQLITE_LOCK_….
        var levels: [ObjectIdentifier: Int32] = [:]
        /// Of each connection, a bit for each of the index's locks.
        var sharedLocks: [ObjectIdentifier: UInt32] = [:]
        var exclusiveLocks: [ObjectIdentifier: UInt32] = [:]
    }

    private let state = Mutex(State())

    deinit {
        for region in state.withLock({ $0.regions }) { region.deallocate() }
    }

    // MARK: The database file

    /// Raises a connection's lock; SQLITE_BUSY if another's stands against it.
    func lock(_ connection: ObjectIdentifier, _ level: Int32) -> Int32 {
        state.withLock { state in
            guard level > state.levels[connection, default: SQLITE_LOCK_NONE] else {
                return SQLITE_OK
            }
            let others = state.levels.filter { $0.key != connection }.values
            let highest = others.max() ?? SQLITE_LOCK_NONE
            switch level {
            case SQLITE_LOCK_SHARED where highest >= SQLITE_LOCK_PENDING: return SQLITE_BUSY
            case SQLITE_LOCK_RESERVED where highest >= SQLITE_LOCK_RESERVED: return SQLITE_BUSY
            case SQLITE_LOCK_EXCLUSIVE where highest >= SQLITE_LOCK_RESERVED: return SQLITE_BUSY
            case SQLITE_LOCK_EXCLUSIVE where highest >= SQLITE_LOCK_SHARED:
                // Keeps new readers out, so that those who are in will be the last.
                state.levels[connection] = SQLITE_LOCK_PENDING
                return SQLITE_BUSY
            default:
                state.levels[connection] = level
                return SQLITE_OK
            }
        }
    }

    func unlock(_ connection: ObjectIdentifier, _ level: Int32) {
        state.withLock { state in
            let held = state.levels[connection, default: SQLITE_LOCK_NONE]
            state.levels[connection] = level == SQLITE_LOCK_NONE ? nil : min(held, level)
        }
    }

    /// Whether anybody is writing, or about to.
    var isReserved: Bool {
        state.withLock { $0.levels.values.contains { $0 >= SQLITE_LOCK_RESERVED } }
    }

    // MARK: The log's index

    /// The index's part `number` of `size` bytes; `nil` if it is not there and not to be made.
    func region(_ number: Int, size: Int, isMade: Bool) -> UnsafeMutableRawPointer? {
        state.withLock { state -> Region? in
            while state.regions.count <= number {
                guard isMade else { return nil }
                let region = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
                region.initializeMemory(as: UInt8.self, repeating: 0, count: size)
                state.regions.append(region)
            }
            return Region(pointer: state.regions[number])
        }?.pointer
    }

    private struct Region: @unchecked Sendable {
        // SAFETY: memory of SQLite's, which keeps its threads apart with the locks below.
        let pointer: UnsafeMutableRawPointer
    }

    /// Takes or gives back the index's locks of `mask`.
    func lockIndex(_ connection: ObjectIdentifier, _ mask: UInt32, _ flags: Int32) -> Int32 {
        state.withLock { state in
            if flags & SQLITE_SHM_UNLOCK != 0 {
                state.sharedLocks[connection, default: 0] &= ~mask
                state.exclusiveLocks[connection, default: 0] &= ~mask
                return SQLITE_OK
            }
            let isExclusive = flags & SQLITE_SHM_EXCLUSIVE != 0
            for (other, locks) in state.exclusiveLocks where other != connection {
                if locks & mask != 0 { return SQLITE_BUSY }
            }
            guard isExclusive else {
                state.sharedLocks[connection, default: 0] |= mask
                return SQLITE_OK
            }
            for (other, locks) in state.sharedLocks where other != connection {
                if locks & mask != 0 { return SQLITE_BUSY }
            }
            state.exclusiveLocks[connection, default: 0] |= mask
            return SQLITE_OK
        }
    }

    /// The connection has none of the locks any more; `true` if nobody has the index open.
    func leaveIndex(_ connection: ObjectIdentifier) {
        state.withLock { state in
            state.sharedLocks[connection] = nil
            state.exclusiveLocks[connection] = nil
        }
    }
}
