import Disk
import Glibc
import Metadata
import Primitives
import Testing

/// What a crash leaves: the files as they are at some moment, without those in memory.
///
/// The copies are taken while the committer thread writes, so that the log of many ends in the
/// middle of a commit. The log stays below the size at which it is moved into the database: a
/// copy of two files that change at the same time is not what a crash leaves.
@Suite struct CrashTests {
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func crashLeavesAPrefixWithEverythingSynced(seed: UInt64) throws {
        try withNewStore { path in
            var limits = MetadataLimits()
            limits.commitDelay = .milliseconds(1)
            limits.commitOperations = 5
            let store = try MetadataStore(opening: path, limits: limits)
            var operations = try RandomOperations(seed: seed, store: store)
            var random = SeededGenerator(seed: seed &* 77)
            // States since the last sync; only they may be found after a crash.
            var states = [operations.tree.lines()]
            for _ in 0..<40 {
                for _ in 0..<Int.random(in: 1...30, using: &random) {
                    try operations.step(store)
                    states.append(operations.tree.lines())
                }
                if Int.random(in: 0..<3, using: &random) == 0 {
                    try store.sync()
                    states = [operations.tree.lines()]
                }
                let found = try afterCrash(of: path)
                #expect(states.contains(found), "seed \(seed): not a state since the last sync")
            }
            try store.close()
        }
    }

    @Test func commitSurvivesACrashOfTheProcess() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path, limits: .manual)
            try store.make("saved")
            try store.commit()
            try store.make("lost")
            try withCopy(of: path) { copy in
                let after = try MetadataStore(opening: copy)
                #expect(!after.wasCleanlyClosed)
                #expect(try after.bootIDAtLastOpen == Host.bootID())
                #expect(try after.names() == ["saved"])
                try after.close()
            }
            try store.close()
        }
    }

    @Test func movedShardIsWithItsNewHolderAfterACrash() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path, limits: .manual)
            let ino = try store.make("f")
            let stripe = try Stripes.place(ino, bytes: 3 << 20, 1, in: store)
            let to: NodeID = Stripes.id(99)
            let from = stripe.shards[2].provider
            #expect(try store.moveShard(of: stripe.id, index: 2, from: from, to: to))
            try withCopy(of: path) { copy in
                let after = try MetadataStore(opening: copy)
                #expect(try after.stripe(stripe.id) == stripe.moving(2, to: to))
                #expect(try after.allPlacedStripes() == [stripe.moving(2, to: to)])
                // Whoever did not see the answer asks again.
                #expect(try after.moveShard(of: stripe.id, index: 2, from: from, to: to))
                try after.close()
            }
            try store.close()
        }
    }

    /// Numbers handed out before a crash may be names of cache files.
    @Test func inodeNumbersLostInACrashAreNotReused() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path, limits: .manual)
            try store.make("saved")
            try store.commit()
            let lost = try store.make("lost")
            try withCopy(of: path) { copy in
                let after = try MetadataStore(opening: copy)
                #expect(try after.make("new") > lost)
                try after.close()
            }
            try store.close()
        }
    }

    @Test func inodeNumbersOfReapedInodesAreNotReused() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            let ino = try store.make("file")
            try store.unlink(name("file"), in: .root, now: time(3))
            try store.reap(ino)
            try store.close()
            let again = try MetadataStore(opening: path)
            #expect(try again.make("file") > ino)
            try again.close()
        }
    }

    /// The inode lines of the store that a crash now would leave.
    private func afterCrash(of path: String) throws -> [String] {
        try withCopy(of: path) { copy in
            let store = try MetadataStore(opening: copy)
            defer { try? store.close() }
            return try store.lines()
        }
    }

    private func withCopy<T>(of path: String, _ body: (String) throws -> T) throws -> T {
        try withScratch { directory in
            let copy = directory + "/volume.db"
            for suffix in ["", "-wal"] {
                let bytes = try WholeFile.read(path + suffix, limit: 64 << 20)
                try WholeFile.create(copy + suffix, with: bytes)
            }
            return try body(copy)
        }
    }
}
