import Disk
import Glibc
import Metadata
import Primitives
import SQLite
import Synchronization
import Testing

/// The database as a file: its format, damage, locks, and a disk that is full.
@Suite struct StoreTests {
    // MARK: Format

    /// The schema is part of format 3 and never changes within it.
    @Test func schemaIsThatOfFormat3() throws {
        try withNewStore { path in
            let database = try Database(path: path)
            let text =
                try database.query(
                    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
                ) { $0.text(0) }.joined(separator: ";\n") + ";\n"
            #expect(text == (try golden(3)))
            #expect(try database.integer("PRAGMA application_id") == 0x4d45_4653)
            #expect(try database.integer("PRAGMA user_version") == 3)
        }
    }

    /// A database filled by SQL, as any program of an older format may have left it.
    @Test(arguments: [1, 2])
    func databaseOfOlderFormatIsUpgradedAndRead(version: Int) throws {
        try withScratch { directory in
            let path = directory + "/volume.db"
            do {
                let database = try Database(path: path)
                try database.executeScript(try golden(version))
                try database.executeScript(Self.contents)
                try database.execute("PRAGMA user_version=\(version)")
            }
            let store = try MetadataStore(opening: path)
            #expect(store.wasCleanlyClosed)
            #expect(store.bootIDAtLastOpen == "boot")
            let file = try store.lookup(name("f"), in: .root)
            #expect(
                file
                    == Attributes(
                        ino: InodeNumber(5),
                        kind: .regular,
                        mode: 0o640,
                        uid: 7,
                        gid: 8,
                        linkCount: 1,
                        size: 1_048_676,
                        blocks512: 2056,
                        rdev: 0,
                        accessed: Timestamp(seconds: -1, nanoseconds: 1),
                        modified: Timestamp(seconds: 2, nanoseconds: 2),
                        changed: Timestamp(seconds: 3, nanoseconds: 3)
                    )
            )
            #expect(try store.readLink(InodeNumber(6)) == Array("to".utf8))
            #expect(try store.fileKey(of: InodeNumber(5)) == [0xaa])
            #expect(
                try store.extendedAttribute(Array("user.a".utf8), of: InodeNumber(5)) == [1, 2]
            )
            let stripe = try #require(StripeID(bytes: [UInt8](repeating: 0x11, count: 16)))
            let blocks = try store.blocks(of: InodeNumber(5))
            #expect(
                blocks == [
                    BlockState(
                        index: BlockIndex(0),
                        location: BlockLocation(
                            stripe: stripe,
                            offset: 9,
                            plainBytes: 65537,
                            validBytes: 3,
                            segmentBytes: [258, 0]
                        ),
                        resident: 1
                    ),
                    BlockState(
                        index: BlockIndex(1),
                        resident: 0xffff,
                        dirtySince: Timestamp(seconds: 1, nanoseconds: 5)
                    ),
                ]
            )
            #expect(store.totals.dirtyBytes == 100)
            #expect(store.totals.placedBytes == 3)
            #expect(store.totals.residentBytes == 65636)
            #expect(try store.stripe(stripe).code.description == "1+1")
            #expect(try store.orphans() == [InodeNumber(7)])
            #expect(try store.make("next") == InodeNumber(50))
            try store.close()
        }
    }

    private static let contents = """
        INSERT INTO meta VALUES('next_inode', 50), ('clean', 1), ('boot_id', 'boot');
        INSERT INTO inode VALUES
            (1, 2, 493, 0, 0, 2, 0, 0, 1, 0, 1, 0, 1, 0, 1, 5, 2, 0, 0),
            (5, 1, 416, 7, 8, 1, 1048676, 0, -1, 1, 2, 2, 3, 3, 0, 0, 0, 7, 2),
            (6, 3, 511, 0, 0, 1, 2, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0),
            (7, 1, 416, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0);
        INSERT INTO dentry VALUES(1, x'66', 5, 3), (1, x'6c', 6, 4);
        INSERT INTO orphan VALUES(7);
        INSERT INTO symlink VALUES(6, x'746f');
        INSERT INTO file_key VALUES(5, x'aa');
        INSERT INTO xattr VALUES(5, x'757365722e61', x'0102');
        INSERT INTO block(ino, idx, stripe, offset, plain, valid, segments) VALUES
            (5, 0, x'11111111111111111111111111111111', 9, 65537, 3, x'0201000000000000');
        INSERT INTO residency VALUES(5, 0, 1, 65536, NULL), (5, 1, 65535, 100, 1000000005);
        INSERT INTO stripe VALUES
            (x'11111111111111111111111111111111', 1, 1, 258, 1024, 2, 1, 258);
        PRAGMA application_id = 1296385619;
        PRAGMA user_version = 1;
        """

    private func golden(_ version: Int) throws -> String {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let path = tests.joined(separator: "/") + "/Golden/metadata/schema-\(version).sql"
        return String(decoding: try WholeFile.read(path), as: UTF8.self)
    }

    // MARK: Opening

    @Test func missingDatabaseIsNamed() throws {
        try withScratch { directory in
            let error = #expect(throws: FileSystemError.self) {
                _ = try MetadataStore(opening: directory + "/none.db")
            }
            #expect(error?.code == .notFound)
            #expect(error?.message == "there is no metadata database at \(directory)/none.db")
        }
    }

    @Test func secondOpenerIsTurnedAway() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            let error = #expect(throws: FileSystemError.self) {
                _ = try MetadataStore(opening: path)
            }
            #expect(error?.message.contains("is in use by process \(getpid())") == true)
            try store.close()
            try MetadataStore(opening: path).close()
        }
    }

    @Test func existingDatabaseIsNotOverwritten() throws {
        try withNewStore { path in
            #expect(
                code { try MetadataStore.create(at: path, uid: 0, gid: 0, now: time(1)) } == .exists
            )
        }
    }

    /// The names in it are nobody else's business.
    @Test func databaseIsReadableByItsOwnerOnly() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            for suffix in ["", "-wal"] {
                var status = stat()
                #expect(stat(path + suffix, &status) == 0)
                #expect(status.st_mode & 0o777 == 0o600)
            }
            try store.close()
        }
    }

    @Test func closedStoreAnswersClosed() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            try store.close()
            try store.close()
            #expect(code { _ = try store.attributes(of: .root) } == .closed)
            #expect(code { try store.make("f") } == .closed)
            #expect(code { try store.sync() } == .closed)
        }
    }

    @Test func databaseOfAnotherProgramOrVersionIsRefused() throws {
        try withNewStore { path in
            try Database(path: path).execute("PRAGMA user_version=4")
            let newer = #expect(throws: FileSystemError.self) {
                _ = try MetadataStore(opening: path)
            }
            #expect(newer?.message.contains("has format 4, and this program knows 3") == true)
            try Database(path: path).execute("PRAGMA application_id=7")
            let other = #expect(throws: FileSystemError.self) {
                _ = try MetadataStore(opening: path)
            }
            #expect(other?.message == "\(path) is a database of another program")
        }
    }

    // MARK: Damage

    @Test func fileThatIsNoDatabaseIsCorrupt() throws {
        try withScratch { directory in
            let path = directory + "/volume.db"
            try WholeFile.create(path, with: Array(String(repeating: "text ", count: 1000).utf8))
            let error = #expect(throws: FileSystemError.self) {
                _ = try MetadataStore(opening: path)
            }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains("file is not a database") == true)
        }
    }

    /// Damage is an error, not a crash and not an endless loop.
    @Test func damagedPagesNeverTrap() throws {
        try withNewStore { path in
            try fill(path)
            let intact = try WholeFile.read(path)
            var random = SeededGenerator(seed: 5)
            for _ in 0..<100 {
                var bytes = intact
                for _ in 0..<Int.random(in: 1...40, using: &random) {
                    let position = Int.random(in: 100..<bytes.count, using: &random)
                    bytes[position] = UInt8.random(in: 0...255, using: &random)
                }
                try WholeFile.replace(path, with: bytes)
                try useAll(of: path)
            }
        }
    }

    /// Every column of every table, with values that no program of ours writes.
    @Test(arguments: [
        "-1", "0", "1", "99", "9223372036854775807", "-9223372036854775808", "9007199254740993",
        "1e300", "x''", "x'00ff'", "zeroblob(70000)", "'text'",
    ])
    func hostileValuesNeverTrap(value: String) throws {
        try withNewStore { path in
            try fill(path)
            let intact = try WholeFile.read(path)
            let database = try Database(path: path)
            let tables = try database.query(
                "SELECT name FROM sqlite_master WHERE type='table'"
            ) { $0.text(0) }
            for table in tables {
                let columns = try database.query("PRAGMA table_info(\(table))") { $0.text(1) }
                for column in columns {
                    try WholeFile.replace(path, with: intact)
                    let update = "UPDATE OR IGNORE \(table) SET \(column)=\(value)"
                    // SQLite itself refuses some: a row's number is an integer.
                    guard (try? Database(path: path).execute(update)) != nil else { continue }
                    try useAll(of: path)
                }
            }
        }
    }

    /// Some of everything.
    private func fill(_ path: String) throws {
        let store = try MetadataStore(opening: path)
        for index in 0..<40 { try store.make("file \(index)") }
        let directory = try store.make("directory", .directory)
        try store.make("inner", in: try store.make("deep", in: directory, .directory))
        try store.make("link", .link("target"))
        let ino = try store.make("placed")
        _ = try Stripes.place(ino, bytes: 3 << 20, 1, in: store)
        try store.setFileKey([1], of: ino)
        try store.setExtendedAttribute([0x61], to: [1], mode: .set, of: ino, now: time(2))
        try store.recordWrite(ino, growingTo: 100 << 20, now: time(3))
        try store.markDirty(ino, BlockIndex(80), since: time(3), resident: .max)
        _ = try Stripes.begin(2, in: store)
        try store.abandonStripe(Stripes.id(2))
        try store.unlink(name("file 0"), in: .root, now: time(3))
        try store.close()
    }

    /// Whatever comes of it must come back, and as an error of ours if as an error.
    private func useAll(of path: String) throws {
        do throws(FileSystemError) {
            let store = try MetadataStore(opening: path)
            defer { try? store.close() }
            _ = try? store.lines()
            _ = store.totals
            _ = try? store.residentClean(limit: 10)
            _ = try? store.sparseStripes(liveBelow: 2, limit: 10)
            _ = try? store.blocks(in: Stripes.id(1))
            if let dead = try? store.deadShards(limit: 10) { try? store.forgetShards(dead) }
            for ino in (1...50 as ClosedRange<UInt64>).map({ InodeNumber($0) }) {
                _ = try? store.blocks(of: ino)
                _ = try? store.fileKey(of: ino)
                _ = try? store.link(ino, as: name("l\(ino.rawValue)"), in: .root, now: time(9))
                _ = try? store.markDirty(ino, BlockIndex(1), since: time(9), resident: 1)
                _ = try? store.recordWrite(ino, growingTo: 200 << 20, now: time(9))
                _ = try? store.evict([BlockKey(ino, BlockIndex(0)), BlockKey(ino, BlockIndex(2))])
                try? store.setExtendedAttribute([0x62], to: [], mode: .set, of: ino, now: time(9))
                var change = AttributeChange()
                change.size = 10
                _ = try? store.setAttributes(change, of: ino, now: time(9))
                _ = try? store.make("x", in: ino, .directory)
            }
            for text in ["directory", "placed", "link", "file 1", "file 2"] {
                for mode in [RenameMode.exchange, .replace] {
                    _ = try? store.rename(
                        name(text),
                        in: .root,
                        to: name("deep"),
                        in: InodeNumber(42),
                        mode: mode,
                        now: time(9)
                    )
                }
                _ = try? store.removeDirectory(name(text), in: .root, now: time(9))
                guard let gone = try? store.unlink(name(text), in: .root, now: time(9)) else {
                    continue
                }
                try? store.reap(gone.ino)
            }
            for ino in (try? store.orphans()) ?? [] { try? store.reap(ino) }
            try? store.sync()
        } catch {
            #expect(!error.message.isEmpty)
        }
    }

    @Test func damagedRowIsNamed() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let ino = try store.make("f")
            try store.close()
            try Database(path: path).execute("UPDATE inode SET kind=99 WHERE ino=2")
            store = try MetadataStore(opening: path)
            let error = #expect(throws: FileSystemError.self) {
                _ = try store.attributes(of: ino)
            }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains("inode 2") == true)
            try store.close()
        }
    }

    // MARK: A full disk

    /// Commits as they come, and one that is far too large: as many changes as memory may hold.
    @Test(.enabled(if: isSuperuser), arguments: [false, true])
    func fullDiskIsReportedAndNothingIsLostOnceThereIsRoom(inOneCommit: Bool) throws {
        try withScratch { directory in
            try #require(mount("tmpfs", directory, "tmpfs", 0, "size=600k") == 0)
            defer { umount2(directory, Int32(MNT_DETACH)) }
            let path = directory + "/volume.db"
            try MetadataStore.create(at: path, uid: 0, gid: 0, now: time(1))
            var limits = inOneCommit ? MetadataLimits.manual : MetadataLimits()
            limits.unsavedOperationsMax = MetadataLimits().unsavedOperationsMax
            let store = try MetadataStore(opening: path, limits: limits)
            let made = try fillDisk(under: store)
            if inOneCommit {
                // 600 KiB are less than 8,192 files need, in whatever order they are saved.
                #expect(made == limits.unsavedOperationsMax)
                #expect(code { try store.sync() } == .noSpace)
                #expect(code { try store.make("more") } == .noSpace)
            } else {
                // What failed by a page may fit when it is tried again, in another order.
                #expect([nil, .noSpace].contains(code { try store.sync() }))
            }
            // What was made can still be seen and removed.
            #expect(try store.lookup(name("file number \(made - 1)"), in: .root).kind == .regular)
            try store.unlink(name("file number 0"), in: .root, now: time(3))
            #expect(try store.names(by: 1000).count == made - 1)

            try #require(
                mount("tmpfs", directory, "tmpfs", UInt(MS_REMOUNT), "size=60m") == 0
            )
            try store.make("last")
            try store.sync()
            let before = try store.lines()
            try store.close()
            let again = try MetadataStore(opening: path)
            #expect(try again.names(by: 1000).count == made)
            let orphan = try again.orphans()
            #expect(orphan.count == 1)
            #expect(try again.lines() == before)
            try again.close()
        }
    }

    /// Makes files until one is refused, and gives their number.
    private func fillDisk(under store: MetadataStore) throws -> Int {
        for number in 0..<100_000 {
            guard let failure = code({ try store.make("file number \(number)") }) else { continue }
            #expect(failure == .noSpace)
            return number
        }
        throw FileSystemError(.invalid, "the disk has not become full")
    }

    /// A slow commit that fails may hold as many changes as came after it together; no more come
    /// in than memory may hold, so removals still do.
    @Test(.enabled(if: isSuperuser)) func removalsGetInWhateverFailingCommitsTake() throws {
        try withScratch { directory in
            try #require(mount("tmpfs", directory, "tmpfs", 0, "size=600k") == 0)
            defer { umount2(directory, Int32(MNT_DETACH)) }
            let path = directory + "/volume.db"
            try MetadataStore.create(at: path, uid: 0, gid: 0, now: time(1))
            var limits = MetadataLimits.manual
            limits.unsavedOperationsMax = 8192
            let store = try MetadataStore(opening: path, limits: limits)
            let made = Atomic(0)
            let threads = try (0..<3).map { number in
                try Thread.spawn("test") {
                    for index in 0..<30_000 {
                        let isMade = (try? store.make("\(number)-\(index)")) != nil
                        guard isMade else { break }
                        made.add(1, ordering: .relaxed)
                    }
                    // Tries that fail one after the other take nothing in either.
                    for index in 0..<5 {
                        let isMade = (try? store.make("late \(number)-\(index)")) != nil
                        if isMade { made.add(1, ordering: .relaxed) }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(made.load(ordering: .relaxed) <= limits.unsavedOperationsMax)
            for name in try store.readDirectory(.root, after: 0, limit: 1000).map(\.name) {
                try store.unlink(name, in: .root, now: time(3))
            }
        }
    }

    // MARK: Threads

    @Test(arguments: [MetadataLimits(), MetadataLimits.tiny])
    func threadsAtOnceLoseNothing(limits: MetadataLimits) throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path, limits: limits)
            let shared = store
            let threads = try (0..<4).map { number in
                try Thread.spawn("test") {
                    for index in 0..<200 {
                        let text = "\(number)-\(index)"
                        guard let ino = try? shared.make(text) else { continue }
                        if index.isMultiple(of: 3) {
                            _ = try? shared.unlink(name(text), in: .root, now: time(3))
                            try? shared.reap(ino)
                        }
                        if index.isMultiple(of: 50) { try? shared.sync() }
                        _ = try? shared.readDirectory(.root, after: 0, limit: 5)
                        _ = try? shared.lookup(name("\((number + 1) % 4)-\(index)"), in: .root)
                    }
                }
            }
            for thread in threads { thread.join() }
            let expected = (0..<4).flatMap { number in
                (0..<200).filter { !$0.isMultiple(of: 3) }.map { "\(number)-\($0)" }
            }
            #expect(try store.names().sorted() == expected.sorted())
            try store.close()
            store = try MetadataStore(opening: path)
            #expect(try store.names().sorted() == expected.sorted())
            #expect(store.totals.inodes == UInt64(expected.count + 1))
            try store.close()
        }
    }

    /// The log is moved into the database while commits, and scans, go on, and starts anew.
    @Test(arguments: [false, true])
    func logStaysShort(whileScansRun: Bool) throws {
        try withNewStore { path in
            var limits = MetadataLimits()
            limits.logFrames = 50
            limits.logFramesMax = 100
            let store = try MetadataStore(opening: path, limits: limits)
            let isDone = Atomic(false)
            let scanners = try (0..<(whileScansRun ? 2 : 0)).map { _ in
                try Thread.spawn("test") {
                    while !isDone.load(ordering: .relaxed) {
                        _ = try? store.orphans()
                        _ = try? store.residentClean(limit: 100)
                    }
                }
            }
            for index in 0..<3000 {
                try store.make("\(index)")
                if index.isMultiple(of: 10) { try store.commit() }
            }
            isDone.store(true, ordering: .relaxed)
            for scanner in scanners { scanner.join() }
            let bytes = try Descriptor(opening: path + "-wal").size()
            // The bound and the last commit; without checkpoints some 2,000 pages.
            #expect(bytes < 150 * 4120)
            try store.close()
            #expect(try Descriptor(opening: path + "-wal").size() == 0)
        }
    }
}
