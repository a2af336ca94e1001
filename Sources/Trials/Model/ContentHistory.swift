/// The bytes of one file: what is sure to be kept, and every change since.
///
/// A byte that comes back after a crash must be one that was there at some moment from `base` on.
/// Bytes past the end of an array are zero.
struct ContentHistory: Sendable {
    /// One write, or one range that became zeros.
    struct Change: Sendable {
        /// The operation it is part of; its times are in `Model`.
        let operation: Int
        let range: Range<Int>
        /// `nil` for zeros.
        let bytes: [UInt8]?
    }

    /// What a sync acknowledged, or a recovery found.
    private(set) var base: [UInt8] = []
    private(set) var changes: [Change] = []
    /// What a read gives now, if every change was made.
    private(set) var latest: [UInt8] = []
    /// Operations that failed on their way: made in part, wholly or not at all.
    private var doubtful: Set<Int> = []

    init(_ bytes: [UInt8] = []) {
        base = bytes
        latest = bytes
    }

    mutating func add(_ change: Change) {
        changes.append(change)
        Self.apply(change, to: &latest)
    }

    /// Takes a change back that turned out to be none.
    mutating func withdraw(_ operation: Int) {
        let count = changes.count
        changes.removeAll { $0.operation == operation }
        if changes.count != count { replay() }
    }

    /// A change that may have been made in part: it stays possible from now on.
    mutating func doubt(_ operation: Int) {
        doubtful.insert(operation)
        replay()
    }

    private mutating func replay() {
        latest = base
        for change in changes where !doubtful.contains(change.operation) {
            Self.apply(change, to: &latest)
        }
    }

    /// A sync has made the changes for which `isCovered` holds durable.
    mutating func acknowledge(where isCovered: (Int) -> Bool) {
        var kept: [Change] = []
        for change in changes {
            if isCovered(change.operation), !doubtful.contains(change.operation) {
                Self.apply(change, to: &base)
            } else {
                kept.append(change)
            }
        }
        changes = kept
    }

    /// A crash has left `found`.
    ///
    /// `isLasting`: whether that is on the disk, so that nothing of before can come back.
    mutating func recover(_ found: [UInt8], isLasting: Bool) {
        guard !isLasting else {
            self = ContentHistory(found)
            return
        }
        // Also where only a failed operation may have written.
        let count = changes.map(\.range.upperBound).reduce(max(found.count, latest.count), max)
        let padding = [UInt8](repeating: 0, count: count - found.count)
        changes = changes.map { Change(operation: 0, range: $0.range, bytes: $0.bytes) }
        changes.append(Change(operation: 0, range: 0..<count, bytes: found + padding))
        doubtful = []
        latest = found
    }

    /// The first byte of `found`, read at `offset`, that no moment explains; its place in the file.
    ///
    /// `isCertain`: whether an operation is known to have been done, whole, before the moment in
    /// question, so that what it replaced is gone.
    func firstWrong(
        in found: [UInt8],
        at offset: Int,
        isCertain: (Int) -> Bool
    ) -> Int? {
        if equalsLatest(found, at: offset) { return nil }
        var isExplained = [Bool](repeating: false, count: found.count)
        for index in found.indices {
            let place = offset + index
            isExplained[index] = found[index] == (place < base.count ? base[place] : 0)
        }
        for change in changes {
            let isCertain = isCertain(change.operation) && !doubtful.contains(change.operation)
            for place in change.range.clamped(to: offset..<offset + found.count) {
                let index = place - offset
                let isEqual = found[index] == change.byte(at: place)
                isExplained[index] = isCertain ? isEqual : isExplained[index] || isEqual
            }
        }
        return isExplained.firstIndex(of: false).map { offset + $0 }
    }

    /// Whether no failed operation has left the bytes of `range` in doubt.
    func isSure(_ range: Range<Int>) -> Bool {
        !changes.contains { doubtful.contains($0.operation) && $0.range.overlaps(range) }
    }

    /// What could be at `index`, for a report: each change that touched it.
    func explain(_ index: Int) -> String {
        let start = index < base.count ? base[index] : 0
        let touching = changes.filter { $0.range.contains(index) }.suffix(8).map { change in
            "operation \(change.operation) \(change.range): \(change.byte(at: index))"
        }
        return (["at first \(start)"] + touching).joined(separator: "; ")
    }

    private static func apply(_ change: Change, to bytes: inout [UInt8]) {
        guard let new = change.bytes else {
            let range = change.range.clamped(to: 0..<bytes.count)
            bytes.replaceSubrange(range, with: repeatElement(0, count: range.count))
            return
        }
        if bytes.count < change.range.upperBound {
            bytes.append(
                contentsOf: repeatElement(0, count: change.range.upperBound - bytes.count)
            )
        }
        bytes.replaceSubrange(change.range, with: new)
    }

    private func equalsLatest(_ found: [UInt8], at offset: Int) -> Bool {
        let known = latest[min(offset, latest.count)..<min(offset + found.count, latest.count)]
        return found[..<known.count].elementsEqual(known)
            && found[known.count...].allSatisfy { $0 == 0 }
    }
}

extension ContentHistory.Change {
    /// The byte of the file that it left at `place`, which is in its range.
    fileprivate func byte(at place: Int) -> UInt8 {
        bytes.map { $0[place - range.lowerBound] } ?? 0
    }
}
