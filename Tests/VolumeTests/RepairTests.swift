import Disk
import Metadata
import Primitives
import SQLite
import Sealing
import Testing
import Volume

/// Damage of many kinds to whole volumes, repaired or contained: nothing else is touched, and no
/// file ever has bytes that were not written.
@Suite(.serialized)
struct RepairTests {
    @Test func thereAreEnoughKinds() {
        #expect(Self.harms.count >= 80)
        #expect(Set(Self.harms.map(\.name)).count == Self.harms.count)
        // What no repair is for: put the database or the cache back; or look with the key.
        let others: Set<CheckFinding.Kind> = [.databaseMissing, .cacheMissing, .overlappingBlocks]
        let unseen = Set(CheckFinding.Kind.allCases).subtracting(Self.harms.map(\.kind))
        #expect(unseen.subtracting(others) == [.deadShardInUse])
    }

    @Test(arguments: harms)
    func damageIsRepairedOrContained(_ harm: Harm) throws {
        try VolumeFixture.with { fixture in
            let corpus = try RepairCorpus.make(in: fixture)
            let clean = try fixture.check(network: fixture.network, deep: true)
            #expect(clean.findings == [])
            try harm.make(fixture)
            let tried = try fixture.repair(harm, isTrial: true)
            #expect(tried.found.counts[harm.kind] ?? 0 > 0, "found: \(tried.found.findings)")
            let outcome = try fixture.repair(harm)
            #expect(outcome.found.counts == tried.found.counts, "a trial has changed something")
            #expect(outcome.repair.count == tried.repair.count)
            #expect(outcome.left.findings == [], "after \(outcome.repair.actions)")
            #expect(tried.left.findings == [])
            let again = try fixture.check(network: harm.network ? fixture.network : nil)
            #expect(again.findings == [], "after \(outcome.repair.actions)")
            try fixture.open { engine in try judge(corpus, harm, engine) }
            let after = try fixture.check()
            #expect(after.findings == [], "after use")
        }
    }

    /// Every file has what it had, or says that it has not; and lost ones can be used again.
    private func judge(_ corpus: RepairCorpus, _ harm: Harm, _ engine: VolumeEngine) throws {
        var expected: Set<InodeNumber> = []
        if case .some(let files) = harm.toll { expected = Set(files) }
        for ino in corpus.contents.keys.sorted() {
            let fate = try corpus.fate(of: ino, in: engine)
            let isAsWanted = expected.contains(ino) ? fate == .partly : fate == .whole
            #expect(isAsWanted, "inode \(ino.rawValue): \(fate)")
            guard fate == .partly else { continue }
            try engine.resize(ino, to: 0)
            try engine.write([1, 2, 3], at: 0, to: ino)
            let bytes = try engine.read(ino, 0..<3)
            #expect(bytes == [1, 2, 3])
        }
        try engine.place()
    }

    // MARK: Beyond repair

    @Test func aMissingDatabaseIsLeftAlone() throws {
        try VolumeFixture.with { fixture in
            _ = try RepairCorpus.make(in: fixture)
            try WholeFile.remove(fixture.configuration.metadataPath)
            let outcome = try VolumeRepair.run(fixture.configuration, isTrial: false)
            #expect(outcome.left.counts == [.databaseMissing: 1])
            #expect(outcome.hopeless?.contains("mefs volume recover") == true)
            #expect(!WholeFile.exists(fixture.configuration.metadataPath))
        }
    }

    @Test func anotherCacheWithChangesIsLeftAlone() throws {
        try VolumeFixture.with { fixture in
            _ = try RepairCorpus.make(in: fixture)
            let id = fixture.configuration.cacheDirectory + "/id"
            let before = try WholeFile.read(id)
            try WholeFile.replace(id, with: [0x31])
            let outcome = try VolumeRepair.run(fixture.configuration, isTrial: false)
            #expect(outcome.left.counts == [.cacheMissing: 1])
            #expect(outcome.repair.count == 0)
            // The right cache put back, nothing is wrong.
            try WholeFile.replace(id, with: before)
            let isClean = try fixture.check().isClean
            #expect(isClean)
        }
    }

    @Test func aWrongVolumeKeyLosesNothing() throws {
        try VolumeFixture.with { fixture in
            let corpus = try RepairCorpus.make(in: fixture)
            var wrong = fixture.configuration
            wrong.key = .random()
            let outcome = try VolumeRepair.run(wrong, deep: true, isTrial: false)
            #expect(outcome.found.counts[.wrongKey] ?? 0 > 1)
            #expect(outcome.repair.losses == 0)
            try fixture.open { engine in
                for ino in corpus.contents.keys.sorted() {
                    let fate = try corpus.fate(of: ino, in: engine)
                    #expect(fate == .whole)
                }
            }
        }
    }

    @Test func aPageOfTheDatabaseIsLostAndNoByteIsWrong() throws {
        for table in ["inode", "dentry", "block", "residency", "stripe", "shard", "file_key"] {
            try VolumeFixture.with { fixture in
                let corpus = try RepairCorpus.make(in: fixture)
                let path = fixture.configuration.metadataPath
                let pages = try Database(path: path, access: .readOnly).query(
                    "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'",
                    .text(table)
                ) { UInt64($0.integer(0)) }
                let file = try Descriptor(opening: path, .readWrite)
                for page in pages {
                    try file.write(at: (page - 1) * 4096, [UInt8](repeating: 0x5a, count: 4096))
                }
                let outcome = try VolumeRepair.run(fixture.configuration, isTrial: false)
                #expect(outcome.left.findings == [], "\(table)")
                // All that a name's row has is in an index too.
                #expect(outcome.hasLoss || table == "dentry")
                try fixture.open { engine in
                    for ino in corpus.contents.keys.sorted() {
                        let fate = try corpus.fate(of: ino, in: engine)
                        if case .wrong(let what) = fate {
                            // Of an inode that was made anew nobody knows a hole at its end.
                            #expect(
                                table == "inode" && ino == RepairCorpus.sparse,
                                "\(table): \(what)"
                            )
                        }
                    }
                }
            }
        }
    }

    /// Of a file that the kernel was writing by itself the cache file knows more than the rows.
    @Test func whatAProgramGoesOnWritingIsLeftAlone() throws {
        try VolumeFixture.with { fixture in
            _ = try RepairCorpus.make(in: fixture)
            let ino = RepairCorpus.warm
            try fixture.run("INSERT INTO passthrough VALUES(\(ino.rawValue), 1, 0)")
            let file = try Descriptor(opening: fixture.cachePath(ino), .readWrite)
            try file.write(at: 100_000, [1, 2, 3])
            try file.write(at: 1_400_000, [1, 2, 3])
            let outcome = try VolumeRepair.run(
                fixture.configuration,
                network: fixture.network,
                deep: true,
                isTrial: false
            )
            #expect(outcome.found.findings == [])
            let bytes = try file.read(at: 1_400_000, count: 3)
            #expect(bytes == [1, 2, 3])
        }
    }

    // MARK: What the next mount does

    @Test func aStripeThatLacksAShardIsPlacedAnew() throws {
        try VolumeFixture.with(dirtyAgeSeconds: 0.1) { fixture in
            let corpus = try RepairCorpus.make(in: fixture)
            try fixture.run("DELETE FROM shard WHERE idx=2")
            let outcome = try VolumeRepair.run(fixture.configuration, isTrial: false)
            #expect(outcome.left.notes.contains { $0.kind == .rewrittenStripe && $0.count > 1 })
            let before = Set(try fixture.stripes())
            try fixture.open { engine in
                try waitUntil { try before.isDisjoint(with: engine.placedStripes().map(\.id)) }
                for ino in corpus.contents.keys.sorted() {
                    let fate = try corpus.fate(of: ino, in: engine)
                    #expect(fate == .whole)
                }
            }
            let after = try fixture.check(network: fixture.network, deep: true)
            #expect(after.findings == [])
            #expect(!after.notes.contains { $0.kind == .rewrittenStripe })
        }
    }
}

extension VolumeFixture {
    fileprivate func repair(
        _ harm: RepairTests.Harm,
        isTrial: Bool = false
    ) throws -> VolumeRepair.Outcome {
        try VolumeRepair.run(
            configuration,
            network: harm.network ? network : nil,
            deep: harm.deep,
            isTrial: isTrial
        )
    }

    /// The ids of all stripes in the closed database.
    func stripes() throws -> [StripeID] {
        try Database(path: configuration.metadataPath, access: .readOnly)
            .query("SELECT id FROM stripe") { StripeID(bytes: $0.blob(0)) }
            .compactMap { $0 }
    }
}
