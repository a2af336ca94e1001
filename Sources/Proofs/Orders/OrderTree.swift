package import Primitives
import Sealing

/// The Merkle-sum tree of an order, with all its hashes in memory.
///
/// Node = (hash, bytes). A leaf's hash is SHA-256(0x02 | entry), an inner node's SHA-256(0x03 |
/// left | right) over both their hashes and bytes; an odd last node moves up unchanged. A change
/// costs one hash a level.
package struct OrderTree: Sendable {
    /// The most entries an order may have; 16 million of 4 MiB are 64 TiB.
    package static let entriesMax = 1 << 24
    /// Bytes of a node: its hash, and its sum as `UInt64`.
    static let nodeBytes = SumTree.nodeBytes

    private var entries: [OrderEntry] = []
    /// Positions of live entries.
    private var positions: [ShardID: Int] = [:]
    /// Nodes one after another, those of the entries first, the root alone last.
    private var levels: [[UInt8]] = []

    package init() {}

    /// The tree of an order with these entries, tombstones among them.
    package init(entries: [OrderEntry]) throws(OrderError) {
        guard entries.count <= Self.entriesMax else {
            throw .tooManyEntries(limit: Self.entriesMax)
        }
        positions.reserveCapacity(entries.count)
        for (position, entry) in entries.enumerated() {
            try Self.check(entry)
            guard !entry.isTombstone else { continue }
            guard positions.updateValue(position, forKey: entry.shard) == nil else {
                throw .duplicate(entry.shard)
            }
        }
        self.entries = entries
        hash(changed: Array(0..<entries.count))
    }

    /// Entries, tombstones among them.
    package var count: Int { entries.count }

    package var commitment: Commitment {
        guard let root = levels.last, let hash = Digest(bytes: root.prefix(Digest.byteCount))
        else { return .empty }
        return Commitment(
            root: hash,
            totalBytes: bytes(of: 0, at: levels.count - 1),
            count: UInt64(count)
        )
    }

    package subscript(position: Int) -> OrderEntry { entries[position] }

    /// Where the live entry of `shard` stands.
    package func position(of shard: ShardID) -> Int? { positions[shard] }

    /// Applies `changes` one after another; if one of them cannot be, none is.
    package mutating func apply(_ changes: [OrderChange]) throws(OrderError) {
        let countBefore = count
        var replaced: [(position: Int, entry: OrderEntry)] = []
        do throws(OrderError) {
            for change in changes {
                if let before = try apply(change) {
                    replaced.append((Int(change.position), before))
                }
            }
        } catch {
            for entry in entries[countBefore...] where !entry.isTombstone {
                positions[entry.shard] = nil
            }
            entries.removeSubrange(countBefore...)
            for (position, entry) in replaced.reversed() where position < countBefore {
                entries[position] = entry
                positions[entry.shard] = position
            }
            throw error
        }
        let changed = Set(replaced.map(\.position)).filter { $0 < countBefore }.sorted()
        hash(changed: changed + Array(countBefore..<count))
    }

    /// The changes that remove and add shards; what is there or absent already needs none.
    ///
    /// An entry that says something else of a live shard replaces it: a tombstone, and a new entry.
    package func changes(adding: [OrderEntry], removing: [ShardID]) -> [OrderChange] {
        var changes: [OrderChange] = []
        var removed: Set<ShardID> = []
        func remove(_ shard: ShardID) {
            guard let position = positions[shard], removed.insert(shard).inserted else { return }
            changes.append(OrderChange(position: UInt64(position), entry: .tombstone(shard)))
        }
        for shard in removing { remove(shard) }
        var added: Set<ShardID> = []
        var next = UInt64(count)
        for entry in adding where !added.contains(entry.shard) {
            if let position = positions[entry.shard], !removed.contains(entry.shard) {
                guard entries[position] != entry else { continue }
                remove(entry.shard)
            }
            added.insert(entry.shard)
            changes.append(OrderChange(position: next, entry: entry))
            next += 1
        }
        return changes
    }

    // MARK: Compacting

    /// A live entry that took the place of a tombstone.
    package struct Move: Hashable, Sendable {
        package let from: Int
        package let to: Int
    }

    /// Entries whose shards were deleted.
    package var tombstoneCount: Int { count - positions.count }

    /// Takes the last entry away, so many times; a live one takes the place of the first tombstone.
    ///
    /// Shards and bytes stay. Many at once or one after another come to the same. Costs one hash a
    /// level and move, and a look at the entries before the last tombstone that is filled.
    ///
    /// - Returns: what moved, each to a higher position than the one before.
    @discardableResult
    package mutating func compact(dropping drops: Int) throws(OrderError) -> [Move] {
        guard drops > 0, drops <= tombstoneCount else { throw .tooFewTombstones(wanted: drops) }
        let kept = count - drops
        var moves: [Move] = []
        var hole = 0
        // What is kept has a tombstone for each live entry that is not: all but those behind it.
        for last in stride(from: count - 1, through: kept, by: -1)
        where !entries[last].isTombstone {
            while !entries[hole].isTombstone { hole += 1 }
            entries[hole] = entries[last]
            positions[entries[last].shard] = hole
            moves.append(Move(from: last, to: hole))
        }
        entries.removeSubrange(kept...)
        shrinkLevels()
        var changed = moves.map(\.to)
        // The last one's ancestors have lost what stood beside them.
        if kept > 0, changed.last != kept - 1 { changed.append(kept - 1) }
        hash(changed: changed)
        return moves
    }

    private mutating func shrinkLevels() {
        guard !entries.isEmpty else {
            levels = []
            return
        }
        var nodes = count
        var level = 0
        while true {
            levels[level].removeSubrange((nodes * Self.nodeBytes)...)
            guard nodes > 1 else { break }
            nodes = (nodes + 1) / 2
            level += 1
        }
        levels.removeSubrange((level + 1)...)
    }

    // MARK: Nodes

    /// Appends the hash of node `index` of `level` to `output`.
    func appendHash(of index: Int, at level: Int, to output: inout [UInt8]) {
        let start = index * Self.nodeBytes
        output += levels[level][start..<start + Digest.byteCount]
    }

    /// The sum of node `index` of `level`.
    func bytes(of index: Int, at level: Int) -> UInt64 {
        levels[level].withUnsafeBytes { nodes in
            let offset = index * Self.nodeBytes + Digest.byteCount
            return UInt64(
                littleEndian: nodes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            )
        }
    }

    /// Levels, the root's the last.
    var height: Int { levels.count }

    /// Nodes of `level`.
    func nodeCount(at level: Int) -> Int { levels[level].count / Self.nodeBytes }

    /// The entry that `change` replaces.
    private mutating func apply(_ change: OrderChange) throws(OrderError) -> OrderEntry? {
        let entry = change.entry
        try Self.check(entry)
        guard change.position < count else {
            guard change.position == count, count < Self.entriesMax else {
                throw .badPosition(change.position, reason: "the order has \(count) entries")
            }
            guard !entry.isTombstone else {
                throw .badPosition(change.position, reason: "a tombstone for nothing")
            }
            guard positions[entry.shard] == nil else { throw .duplicate(entry.shard) }
            positions[entry.shard] = count
            entries.append(entry)
            return nil
        }
        let position = Int(change.position)
        let before = entries[position]
        guard entry.isTombstone, entry.shard == before.shard, !before.isTombstone else {
            throw .badPosition(change.position, reason: "only its tombstone can replace an entry")
        }
        positions[before.shard] = nil
        entries[position] = entry
        return before
    }

    private static func check(_ entry: OrderEntry) throws(OrderError) {
        if let fault = entry.fault { throw .badEntry(entry.shard, reason: fault) }
    }

    /// Hashes the entries at the ascending positions `changed`, and what is above them.
    private mutating func hash(changed: [Int]) {
        guard !changed.isEmpty else { return }
        if levels.isEmpty { levels.append([]) }
        Self.grow(&levels[0], to: count)
        levels[0].withUnsafeMutableBytes { nodes in
            for position in changed {
                SumTree.hashLeaf(
                    entries[position],
                    into: UnsafeMutableRawBufferPointer(
                        rebasing: nodes[position * Self.nodeBytes..<(position + 1) * Self.nodeBytes]
                    )
                )
            }
        }
        var changed = changed
        var below = 0
        while nodeCount(at: below) > 1 {
            var parents: [Int] = []
            parents.reserveCapacity(changed.count / 2 + 1)
            for index in changed where parents.last != index / 2 { parents.append(index / 2) }
            hash(parents, above: below)
            changed = parents
            below += 1
        }
    }

    /// Makes the nodes `parents` of the level above `below`.
    private mutating func hash(_ parents: [Int], above below: Int) {
        let children = nodeCount(at: below)
        if levels.count == below + 1 { levels.append([]) }
        Self.grow(&levels[below + 1], to: (children + 1) / 2)
        var level: [UInt8] = []
        swap(&level, &levels[below + 1])
        level.withUnsafeMutableBytes { nodes in
            levels[below].withUnsafeBytes { childNodes in
                SumTree.hashParents(parents, of: childNodes, into: nodes)
            }
        }
        swap(&level, &levels[below + 1])
    }

    private static func grow(_ level: inout [UInt8], to count: Int) {
        let missing = count * nodeBytes - level.count
        if missing > 0 { level.append(contentsOf: repeatElement(0, count: missing)) }
    }
}
