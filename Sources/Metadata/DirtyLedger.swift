import Primitives

/// All dirty blocks, oldest first.
///
/// In memory whole: the cache's size bounds them, 64 bytes each.
struct DirtyLedger {
    private struct Mark {
        let since: Timestamp
        var bytes: UInt32
        /// Tells this mark from earlier ones of the same block in `queue`.
        let ticket: UInt64
    }

    private var marks: [BlockKey: Mark] = [:]
    /// In order of marking; those whose ticket no longer fits are skipped and dropped later.
    private var queue: [(key: BlockKey, ticket: UInt64)] = []
    private var head = 0
    private var nextTicket: UInt64 = 0
    private var newest = Timestamp.epoch
    private var blocksOfFile: [InodeNumber: Int] = [:]
    private(set) var bytes: UInt64 = 0

    var blockCount: Int { marks.count }
    var fileCount: Int { blocksOfFile.count }

    /// The time that counts for a mark made at `since`: later than that of every mark so far.
    ///
    /// So it tells one mark of a block from the next, and the queue's order is that of time, also
    /// after the clock was set back.
    func token(_ since: Timestamp) -> Timestamp { max(newest.next, since) }

    /// The token of the last mark.
    var newestToken: Timestamp { newest }

    /// Marks a clean block with a token later than all before.
    mutating func mark(_ key: BlockKey, since: Timestamp, bytes: UInt32) {
        precondition(marks[key] == nil, "a dirty block was marked again")
        newest = max(newest, since)
        marks[key] = Mark(since: since, bytes: bytes, ticket: nextTicket)
        queue.append((key, nextTicket))
        nextTicket += 1
        blocksOfFile[key.ino, default: 0] += 1
        self.bytes += UInt64(bytes)
    }

    mutating func resize(_ key: BlockKey, bytes: UInt32) {
        guard let old = marks[key]?.bytes else { return }
        marks[key]?.bytes = bytes
        self.bytes = self.bytes - UInt64(old) + UInt64(bytes)
    }

    mutating func clear(_ key: BlockKey) {
        guard let mark = marks.removeValue(forKey: key) else { return }
        bytes -= UInt64(mark.bytes)
        let left = blocksOfFile[key.ino, default: 1] - 1
        blocksOfFile[key.ino] = left > 0 ? left : nil
        // Half of the queue may be dead marks, so that dropping them costs O(1) each.
        if queue.count - head > 2 * marks.count + 64 { compact() }
    }

    func bytes(of key: BlockKey) -> UInt32? { marks[key]?.bytes }

    func isDirty(_ ino: InodeNumber) -> Bool { blocksOfFile[ino] != nil }

    /// Since when the oldest dirty block is dirty.
    mutating func oldest() -> Timestamp? {
        while head < queue.count {
            let (key, ticket) = queue[head]
            if let mark = marks[key], mark.ticket == ticket { return mark.since }
            head += 1
        }
        compact()
        return nil
    }

    /// The oldest blocks, at most `limit`, that were dirty before `olderThan`.
    func list(limit: Int, olderThan: Timestamp?) -> [DirtyBlock] {
        var found: [DirtyBlock] = []
        for (key, ticket) in queue[head...] {
            guard found.count < limit else { break }
            guard let mark = marks[key], mark.ticket == ticket else { continue }
            if let olderThan, mark.since >= olderThan { break }
            found.append(DirtyBlock(key: key, since: mark.since, bytes: mark.bytes))
        }
        return found
    }

    private mutating func compact() {
        queue = queue[head...].filter { marks[$0.key]?.ticket == $0.ticket }
        head = 0
    }
}

extension Timestamp {
    /// One nanosecond later.
    fileprivate var next: Timestamp {
        nanoseconds < 999_999_999
            ? Timestamp(seconds: seconds, nanoseconds: nanoseconds + 1)
            : Timestamp(seconds: seconds + 1, nanoseconds: 0)
    }
}
