import Primitives
import Proofs
import Sealing
import Testing
import Wire

/// The commitment level by level, as `docs/proofs.md` has it.
private func slowCommitment(_ entries: [OrderEntry]) -> Commitment {
    guard !entries.isEmpty else { return .empty }
    var level = entries.map { (hash: SHA256.digest([2] + $0.encoded), bytes: $0.bytes) }
    while level.count > 1 {
        level = stride(from: 0, to: level.count, by: 2).map { index in
            guard index + 1 < level.count else { return level[index] }
            var writer = ByteWriter()
            writer.integer(UInt8(3))
            for child in level[index...index + 1] {
                writer.id(child.hash)
                writer.integer(child.bytes)
            }
            return (SHA256.digest(writer.bytes), level[index].bytes + level[index + 1].bytes)
        }
    }
    return Commitment(
        root: level[0].hash,
        totalBytes: level[0].bytes,
        count: UInt64(entries.count)
    )
}

private func entry(_ generator: inout SeededGenerator) throws -> OrderEntry {
    OrderEntry(
        shard: try #require(ShardID(bytes: generator.bytes(16))),
        bytes: (1 + generator.next() % 4096) * 1024,
        root: try #require(Digest(bytes: generator.bytes(32)))
    )
}

struct OrderTreeTests {
    @Test func emptyOrderHasTheEmptyCommitment() throws {
        #expect(OrderTree().commitment == .empty)
        #expect(try OrderTree(entries: []).commitment == .empty)
        #expect(Commitment.empty.encoded == [UInt8](repeating: 0, count: Commitment.byteCount))
    }

    @Test func builtTreeIsTheSlowOne() throws {
        var generator = SeededGenerator(seed: 1)
        var entries: [OrderEntry] = []
        for _ in 0..<70 {
            entries.append(try entry(&generator))
            #expect(try OrderTree(entries: entries).commitment == slowCommitment(entries))
        }
    }

    @Test(arguments: 1...6) func randomHistoriesGiveTheSlowTree(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var tree = OrderTree()
        var entries: [OrderEntry] = []
        for _ in 0..<60 {
            let adding = try (0..<generator.next() % 6).map { _ in try entry(&generator) }
            let live = entries.filter { !$0.isTombstone }.map(\.shard)
            let removing = live.filter { _ in generator.next() % 8 == 0 }
            let changes = tree.changes(adding: adding, removing: removing)
            #expect(changes.count == adding.count + removing.count)
            try tree.apply(changes)
            for shard in removing {
                let position = try #require(entries.firstIndex { $0.shard == shard })
                entries[position] = .tombstone(shard)
                #expect(tree.position(of: shard) == nil)
            }
            entries += adding
            #expect(tree.commitment == slowCommitment(entries))
            #expect((0..<tree.count).map { tree[$0] } == entries)
            for entry in adding { #expect(tree.position(of: entry.shard) != nil) }
        }
        #expect(try OrderTree(entries: entries).commitment == tree.commitment)
    }

    @Test func changesApplyTogetherOrNotAtAll() throws {
        var generator = SeededGenerator(seed: 9)
        let (a, b, c) = (
            try entry(&generator), try entry(&generator), try entry(&generator)
        )
        var tree = try OrderTree(entries: [a, b])
        let before = tree.commitment
        let changes = [
            OrderChange(position: 0, entry: .tombstone(a.shard)),
            OrderChange(position: 2, entry: a),
            OrderChange(position: 3, entry: c),
            OrderChange(position: 3, entry: .tombstone(c.shard)),
        ]
        let wrong: [OrderChange] = [
            OrderChange(position: 9, entry: c),
            OrderChange(position: 4, entry: .tombstone(c.shard)),
            OrderChange(position: 0, entry: .tombstone(a.shard)),
            OrderChange(position: 1, entry: .tombstone(a.shard)),
            OrderChange(position: 1, entry: c),
            OrderChange(position: 4, entry: b),
            OrderChange(position: 4, entry: OrderEntry(shard: c.shard, bytes: 7, root: c.root)),
            OrderChange(position: .max, entry: c),
        ]
        for change in wrong {
            #expect(throws: OrderError.self) { try tree.apply(changes + [change]) }
            #expect(tree.commitment == before && tree.count == 2)
            #expect(tree[0] == a && tree[1] == b)
            #expect(tree.position(of: a.shard) == 0 && tree.position(of: b.shard) == 1)
            #expect(tree.position(of: c.shard) == nil)
        }
        try tree.apply(changes)
        let entries = [.tombstone(a.shard), b, a, .tombstone(c.shard)]
        #expect(tree.commitment == slowCommitment(entries))
        #expect(tree.position(of: a.shard) == 2 && tree.position(of: c.shard) == nil)
    }

    @Test func changesAreOnlyWhatIsNotSo() throws {
        var generator = SeededGenerator(seed: 10)
        let (a, b) = (try entry(&generator), try entry(&generator))
        var tree = try OrderTree(entries: [a])
        #expect(tree.changes(adding: [a], removing: [b.shard]).isEmpty)
        #expect(tree.changes(adding: [b, b], removing: [b.shard]).count == 1)
        #expect(tree.changes(adding: [], removing: [a.shard, a.shard]).count == 1)
        let moved = OrderEntry(shard: a.shard, bytes: a.bytes, root: b.root)
        let changes = tree.changes(adding: [moved], removing: [])
        #expect(changes.map(\.position) == [0, 1])
        try tree.apply(changes)
        #expect(tree[0].isTombstone && tree[1] == moved)
        let again = tree.changes(adding: [moved], removing: [a.shard])
        #expect(again.map(\.position) == [1, 2])
        try tree.apply(again)
        #expect(tree.position(of: a.shard) == 2)
    }

    @Test func entriesThatNoOrderHasAreRefused() throws {
        var generator = SeededGenerator(seed: 11)
        let good = try entry(&generator)
        #expect(throws: OrderError.duplicate(good.shard)) {
            try OrderTree(entries: [good, good])
        }
        for bytes: UInt64 in [1, 1023, 4 << 20 + 1, .max] {
            let bad = OrderEntry(shard: good.shard, bytes: bytes, root: good.root)
            #expect(throws: OrderError.self) { try OrderTree(entries: [bad]) }
        }
    }
}
