import Metadata
import Primitives
import Testing

/// Random operations against a reference that keeps everything in dictionaries.
@Suite struct NamespaceModelTests {
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func randomOperationsMatchTheReference(seed: UInt64) throws {
        try run(seed: seed, limits: seed.isMultiple(of: 2) ? .tiny : MetadataLimits())
    }

    private func run(seed: UInt64, limits: MetadataLimits) throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path, limits: limits)
            var operations = try RandomOperations(seed: seed, store: store)
            for round in 1...8 {
                for _ in 0..<150 { try operations.step(store) }
                let expected = operations.tree.lines()
                #expect(try store.lines() == expected, "seed \(seed), round \(round)")
                #expect(store.totals.inodes == UInt64(operations.tree.all.count))
                #expect(try store.orphans() == operations.tree.orphans)
                guard round.isMultiple(of: 2) else { continue }
                let totals = store.totals
                try store.close()
                store = try MetadataStore(opening: path, limits: limits)
                #expect(store.wasCleanlyClosed)
                #expect(try store.lines() == expected, "seed \(seed), reopened")
                #expect(store.totals == totals, "seed \(seed), recounted")
            }
            try store.close()
        }
    }
}
