import Cache
import Primitives
import Testing

struct RecentlyUsedTests {
    @Test func oldestEntryGoesFirst() {
        var table = RecentlyUsed<Int, String>(limit: 2)
        #expect(table.insert("a", for: 1) == nil)
        #expect(table.insert("b", for: 2) == nil)
        #expect(table.value(of: 1) == "a")
        #expect(table.insert("c", for: 3) == "b")
        #expect(table.value(of: 2) == nil)
        #expect(table.value(of: 1) == "a")
        #expect(table.count == 2)
    }

    @Test func removedEntryMakesRoom() {
        var table = RecentlyUsed<Int, String>(limit: 2)
        _ = table.insert("a", for: 1)
        _ = table.insert("b", for: 2)
        #expect(table.remove(1) == "a")
        #expect(table.remove(1) == nil)
        #expect(table.insert("c", for: 3) == nil)
        #expect(table.insert("d", for: 4) == "b")
    }

    @Test(arguments: [1, 2, 3, 7], 0..<20)
    func behavesLikeAListKeptInOrder(limit: Int, seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var table = RecentlyUsed<Int, Int>(limit: limit)
        // The slow reference: newest last.
        var entries: [(key: Int, value: Int)] = []
        for step in 0..<300 {
            let key = Int.random(in: 0..<10, using: &generator)
            let known = entries.firstIndex { $0.key == key }
            switch Int.random(in: 0..<3, using: &generator) {
            case 0:
                #expect(table.value(of: key) == known.map { entries[$0].value })
                if let known { entries.append(entries.remove(at: known)) }
            case 1 where known == nil:
                let evicted = entries.count == limit ? entries.removeFirst().value : nil
                #expect(table.insert(step, for: key) == evicted)
                entries.append((key, step))
            default:
                #expect(table.remove(key) == known.map { entries.remove(at: $0).value })
            }
            #expect(table.count == entries.count)
        }
    }
}
