import Primitives
import Proofs
import Testing

/// Takes the last entry away, so many times, as `docs/proofs.md` has it.
private func slowlyCompacted(_ entries: [OrderEntry], dropping drops: Int) -> [OrderEntry] {
    var entries = entries
    for _ in 0..<drops {
        guard let last = entries.popLast(), !last.isTombstone,
            let hole = entries.firstIndex(where: \.isTombstone)
        else { continue }
        entries[hole] = last
    }
    return entries
}

private func entry(_ generator: inout SeededGenerator) throws -> OrderEntry {
    OrderEntry(
        shard: try #require(ShardID(bytes: generator.bytes(16))),
        bytes: (1 + generator.next() % 4096) * 1024,
        root: try #require(Digest(bytes: generator.bytes(32)))
    )
}

/// Entries of which about one in `odds` is live.
private func entries(
    _ count: Int,
    oneIn odds: UInt64,
    _ generator: inout SeededGenerator
) throws -> [OrderEntry] {
    try (0..<count).map { _ in
        let entry = try entry(&generator)
        return generator.next() % odds == 0 ? entry : .tombstone(entry.shard)
    }
}

private func all(_ tree: OrderTree) -> [OrderEntry] { (0..<tree.count).map { tree[$0] } }

@Suite struct OrderCompactionTests {
    @Test(arguments: 1...8) func compactedTreeIsThatOfWhatIsLeft(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for count in 1...40 {
            let before = try entries(count, oneIn: 1 + generator.next() % 4, &generator)
            let tree = try OrderTree(entries: before)
            #expect(tree.tombstoneCount == before.count(where: \.isTombstone))
            for drops in stride(from: 1, through: tree.tombstoneCount, by: 1) {
                var compacted = tree
                let moves = try compacted.compact(dropping: drops)
                let expected = slowlyCompacted(before, dropping: drops)
                #expect(all(compacted) == expected)
                #expect(compacted.commitment == (try OrderTree(entries: expected).commitment))
                #expect(compacted.commitment.totalBytes == tree.commitment.totalBytes)
                #expect(compacted.tombstoneCount == tree.tombstoneCount - drops)
                #expect(moves.allSatisfy { before[$0.from] == expected[$0.to] })
                #expect(zip(moves, moves.dropFirst()).allSatisfy { $0.to < $1.to })
                for (position, entry) in expected.enumerated() where !entry.isTombstone {
                    #expect(compacted.position(of: entry.shard) == position)
                }
            }
        }
    }

    /// As `docs/proofs.md` shows it.
    @Test func theExampleIsSo() throws {
        var generator = SeededGenerator(seed: 19)
        let (a, c) = (try entry(&generator), try entry(&generator))
        let (d, e) = (try entry(&generator), try entry(&generator))
        let gone = try (0..<3).map { _ in OrderEntry.tombstone(try entry(&generator).shard) }
        var tree = try OrderTree(entries: [a, gone[0], c, gone[1], gone[2], d, e])
        try tree.compact(dropping: 2)
        #expect(all(tree) == [a, e, c, d, gone[2]])
    }

    @Test func manyAtOnceOrOneAfterAnotherIsTheSame() throws {
        var generator = SeededGenerator(seed: 20)
        let before = try entries(300, oneIn: 3, &generator)
        var (atOnce, inSteps) = (
            try OrderTree(entries: before), try OrderTree(entries: before)
        )
        let total = atOnce.tombstoneCount
        try atOnce.compact(dropping: total)
        while inSteps.tombstoneCount > 0 {
            try inSteps.compact(dropping: min(7, inSteps.tombstoneCount))
        }
        #expect(all(atOnce) == all(inSteps))
        #expect(atOnce.commitment == inSteps.commitment)
        #expect(atOnce.count == 300 - total)
    }

    @Test func anOrderOfTombstonesBecomesTheEmptyOne() throws {
        var generator = SeededGenerator(seed: 21)
        let tombstones = try (0..<9).map { _ in OrderEntry.tombstone(try entry(&generator).shard) }
        var tree = try OrderTree(entries: tombstones)
        try tree.compact(dropping: 9)
        #expect(tree.commitment == .empty)
        let next = try entry(&generator)
        try tree.apply(tree.changes(adding: [next], removing: []))
        #expect(tree.commitment == (try OrderTree(entries: [next]).commitment))
    }

    @Test(arguments: [0, -1, 3, Int.max]) func noMoreGoThanThereAre(drops: Int) throws {
        var generator = SeededGenerator(seed: 22)
        let (a, b, c) = (try entry(&generator), try entry(&generator), try entry(&generator))
        var tree = try OrderTree(entries: [.tombstone(a.shard), b, .tombstone(c.shard)])
        let before = tree.commitment
        #expect(throws: OrderError.tooFewTombstones(wanted: drops)) {
            try tree.compact(dropping: drops)
        }
        #expect(tree.commitment == before && tree[1] == b)
    }

    @Test(arguments: 1...6) func historiesGoOnAfterACompaction(seed: UInt64) throws {
        var generator = SeededGenerator(seed: 30 + seed)
        var tree = OrderTree()
        var live: [ShardID: OrderEntry] = [:]
        for _ in 0..<80 {
            let adding = try (0..<generator.next() % 6).map { _ in try entry(&generator) }
            let removing = live.keys.sorted().filter { _ in generator.next() % 5 == 0 }
            try tree.apply(tree.changes(adding: adding, removing: removing))
            for shard in removing { live[shard] = nil }
            for entry in adding { live[entry.shard] = entry }
            if tree.tombstoneCount > 0, generator.next() % 3 == 0 {
                let drops = 1 + generator.next() % UInt64(tree.tombstoneCount)
                try tree.compact(dropping: Int(drops))
            }
            #expect(all(tree).filter { !$0.isTombstone }.count == live.count)
            for (shard, entry) in live {
                #expect(tree.position(of: shard).map { tree[$0] } == entry)
            }
            #expect(tree.commitment == (try OrderTree(entries: all(tree)).commitment))
        }
    }
}
