import Metadata
import Primitives
import Testing

/// Files that are made without a name (O_TMPFILE), whiteouts, and access times.
@Suite struct UnnamedFileTests {
    private static func link(_ ino: InodeNumber, _ text: String, _ store: MetadataStore) throws {
        _ = try store.link(ino, as: try name(text), in: .root, now: time(4))
    }

    @Test func aFileWithoutANameIsAnOrphanUntilItGetsOne() throws {
        try withStore { store in
            let made = try store.createUnnamed(.file, in: .root, now: time(3))
            #expect(made.linkCount == 0 && made.kind == .regular)
            #expect(try store.names().isEmpty)
            // The directory is not changed by it.
            #expect(try store.attributes(of: .root).changed == time(1))
            try store.commit()
            #expect(try store.orphans() == [made.ino])

            try Self.link(made.ino, "named", store)
            #expect(try store.lookup(name("named"), in: .root).linkCount == 1)
            try store.commit()
            #expect(try store.orphans().isEmpty)
            #expect(code { try store.reap(made.ino) } == .invalid)

            // Once it had a name, it is as any other file.
            try store.unlink(name("named"), in: .root, now: time(5))
            #expect(code { try Self.link(made.ino, "again", store) } == .notFound)
            try store.reap(made.ino)
        }
    }

    @Test func aCrashLeavesWhatHasANameAndOrphansToReap() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path, limits: .manual)
            let named = try store.createUnnamed(.file, in: .root, now: time(3)).ino
            let unnamed = try store.createUnnamed(.file, in: .root, now: time(3)).ino
            try store.commit()
            try Self.link(named, "named", store)
            try store.close()

            let again = try MetadataStore(opening: path)
            #expect(try again.orphans() == [unnamed])
            try again.reap(unnamed)
            #expect(try again.names() == ["named"])
            #expect(try again.orphans().isEmpty)
            #expect(code { _ = try again.attributes(of: unnamed) } == .notFound)
            try again.close()
        }
    }

    @Test func onlyARegularFileCanDoWithoutAName() throws {
        try withStore { store in
            #expect(
                code {
                    _ = try store.createUnnamed(.directory, in: .root, now: time(3))
                } == .invalid
            )
        }
    }

    @Test func renameLeavesAWhiteoutAtTheOldName() throws {
        try withStore { store in
            let file = try store.make("old")
            let replaced = try store.make("new")
            let whiteout = NewInode(kind: .characterDevice, mode: 0, uid: 7, gid: 8)
            let lost = try store.rename(
                name("old"),
                in: .root,
                to: name("new"),
                in: .root,
                mode: .replace,
                whiteout: whiteout,
                now: time(9)
            )
            #expect(lost?.ino == replaced)
            #expect(try store.lookup(name("new"), in: .root).ino == file)
            let left = try store.lookup(name("old"), in: .root)
            #expect(left.kind == .characterDevice && left.mode == 0 && left.rdev == 0)
            #expect(left.uid == 7 && left.gid == 8 && left.linkCount == 1)
            #expect(try store.names().sorted() == ["new", "old"])
        }
    }

    @Test func readingCountsOnceUntilTheNextChange() throws {
        try withStore { store in
            let file = try store.make("file", at: 100)
            func accessed(at now: Int, _ policy: AccessTimePolicy = .relative) throws -> Timestamp {
                try store.recordRead(file, policy: policy, now: time(now))
                return try store.attributes(of: file).accessed
            }
            #expect(try accessed(at: 101, .never) == time(100))
            #expect(try accessed(at: 101) == time(101))
            #expect(try accessed(at: 102) == time(101))
            try store.recordWrite(file, growingTo: 1, now: time(103))
            #expect(try accessed(at: 104) == time(104))
            #expect(try accessed(at: 105) == time(104))
            #expect(try accessed(at: 104 + 86_400) == time(104 + 86_400))
            #expect(try accessed(at: 104 + 86_401, .always) == time(104 + 86_401))
            #expect(try store.attributes(of: file).changed == time(103))
        }
    }
}
