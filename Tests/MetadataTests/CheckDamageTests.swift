import Disk
import Metadata
import Primitives
import SQLite
import Testing

/// What SQL and stray bytes do to a database, and what the check finds of it.
struct CheckDamageTests {
    /// Damage by SQL, and one of the findings that it must give.
    struct Damage: CustomTestStringConvertible, Sendable {
        let sql: String
        let kind: CheckFinding.Kind
        let subject: String
        var testDescription: String { "\(kind) by \(sql)" }

        init(_ kind: CheckFinding.Kind, _ subject: String, _ sql: String) {
            self.kind = kind
            self.subject = subject
            self.sql = sql
        }
    }

    // Inodes of the sample: 2 is directory "d", 3 "d/inner", 4 "d/file" of three blocks in stripe
    // 1, 5 a symbolic link, 6 a file with two names and an attribute, 7 a file of a hole and a
    // dirty block, 8 "second" of a block in stripe 2, 9 an orphan. Stripe 3 is dead.
    static let damages: [Damage] = names + content + stripes

    private static let names = [
        Damage(.badMeta, "next_inode", "UPDATE meta SET value=3 WHERE key='next_inode'"),
        Damage(.badMeta, "next_inode", "UPDATE meta SET value='x' WHERE key='next_inode'"),
        Damage(.badMeta, "boot_id", "DELETE FROM meta WHERE key='boot_id'"),
        Damage(.badMeta, "clean", "UPDATE meta SET value=7 WHERE key='clean'"),
        Damage(.badMeta, "repairs_00", "INSERT INTO meta VALUES('repairs_00', 'many')"),
        Damage(.badInode, "inode 1", "UPDATE inode SET kind=1 WHERE ino=1"),
        Damage(.badInode, "inode 6", "UPDATE inode SET kind=9 WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET mode=65536 WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET size=-1 WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET size='large' WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET size=1.5 WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET uid=x'01' WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET nlink=-2 WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET mtime_ns=1000000000 WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET ctime='now' WHERE ino=6"),
        Damage(.badInode, "inode 6", "UPDATE inode SET parent=2 WHERE ino=6"),
        Damage(.badInode, "inode 5", "UPDATE inode SET blocks=1 WHERE ino=5"),
        Damage(.badInode, "inode 6", "UPDATE inode SET entries=1 WHERE ino=6"),
        Damage(.badInode, "inode 2", "UPDATE inode SET next_cookie=0 WHERE ino=2"),
        Damage(.badName, "directory 1", "UPDATE dentry SET name=x'612f62' WHERE ino=8"),
        Damage(.badName, "directory 1", "UPDATE dentry SET name=x'2e2e' WHERE ino=8"),
        Damage(.badName, "directory 1", "UPDATE dentry SET name='text' WHERE ino=8"),
        Damage(.badName, "directory 1", "UPDATE dentry SET name=zeroblob(300) WHERE ino=8"),
        Damage(.danglingEntry, "\"second\" of directory 1", "DELETE FROM inode WHERE ino=8"),
        Damage(.danglingEntry, "\"second\"", "UPDATE dentry SET ino='x' WHERE ino=8"),
        Damage(
            .entryOutsideDirectory,
            "\"a\" of directory 4",
            "INSERT INTO dentry VALUES(4, x'61', 8, 3)"
        ),
        Damage(
            .entryOutsideDirectory,
            "\"a\" of directory 777",
            "INSERT INTO dentry VALUES(777, x'61', 8, 3)"
        ),
        Damage(.entryOutsideDirectory, "of directory 3", "UPDATE inode SET nlink=0 WHERE ino=3"),
        Damage(.badCookie, "\"second\"", "UPDATE dentry SET cookie=2 WHERE ino=8"),
        Damage(.badCookie, "\"second\"", "UPDATE dentry SET cookie=1000 WHERE ino=8"),
        Damage(
            .sharedCookie,
            "directory 1",
            "UPDATE dentry SET cookie=(SELECT cookie FROM dentry WHERE ino=2) WHERE ino=8"
        ),
        Damage(.wrongLinkCount, "inode 6", "UPDATE inode SET nlink=3 WHERE ino=6"),
        Damage(.wrongLinkCount, "inode 2", "UPDATE inode SET nlink=9 WHERE ino=2"),
        Damage(.wrongEntryCount, "inode 2", "UPDATE inode SET entries=0 WHERE ino=2"),
        Damage(.wrongEntryCount, "inode 1", "DELETE FROM dentry WHERE ino=8"),
        Damage(.wrongParent, "inode 3", "UPDATE inode SET parent=1 WHERE ino=3"),
        Damage(.wrongParent, "inode 3", "INSERT INTO dentry VALUES(1, x'7a', 3, 90)"),
        Damage(.wrongParent, "inode 1", "INSERT INTO dentry VALUES(2, x'7a', 1, 90)"),
        Damage(.unreachableInode, "inode 8", "DELETE FROM dentry WHERE ino=8"),
        // A ring of two directories.
        Damage(
            .unreachableInode,
            "inode 2",
            "UPDATE inode SET parent=3 WHERE ino=2; UPDATE dentry SET parent=3 WHERE ino=2"
        ),
        Damage(.wrongOrphan, "inode 9", "DELETE FROM orphan"),
        Damage(.wrongOrphan, "inode 8", "INSERT INTO orphan VALUES(8)"),
        Damage(.wrongOrphan, "inode 500", "INSERT INTO orphan VALUES(500)"),
        Damage(.missingTarget, "inode 5", "DELETE FROM symlink"),
        Damage(.targetOfNobody, "inode 4", "INSERT INTO symlink VALUES(4, x'61')"),
        Damage(.targetOfNobody, "inode 500", "INSERT INTO symlink VALUES(500, x'61')"),
        Damage(.wrongTarget, "inode 5", "UPDATE symlink SET target=x'6162'"),
        Damage(.wrongTarget, "inode 5", "UPDATE symlink SET target=x''"),
        Damage(.badAttribute, "inode 6", "UPDATE xattr SET name=x''"),
        Damage(.badAttribute, "inode 6", "UPDATE xattr SET value='text'"),
        Damage(.attributeOfNobody, "inode 500", "INSERT INTO xattr VALUES(500, x'61', x'62')"),
        Damage(.wrongAttributeBytes, "inode 6", "UPDATE inode SET xattr_bytes=1 WHERE ino=6"),
        Damage(.wrongAttributeBytes, "inode 6", "DELETE FROM xattr"),
    ]

    private static let content = [
        Damage(.missingKey, "inode 4", "DELETE FROM file_key WHERE ino=4"),
        Damage(.keyOfNobody, "inode 2", "INSERT INTO file_key VALUES(2, x'00')"),
        Damage(.keyOfNobody, "inode 500", "INSERT INTO file_key VALUES(500, x'00')"),
        Damage(.wrongKey, "inode 4", "UPDATE file_key SET wrapped=x'' WHERE ino=4"),
        Damage(.badBlock, "block 0 of inode 4", "UPDATE block SET plain=0 WHERE idx=0"),
        Damage(.badBlock, "block 0 of inode 4", "UPDATE block SET valid=plain+1 WHERE idx=0"),
        Damage(.badBlock, "block 0 of inode 4", "UPDATE block SET valid=0 WHERE idx=0"),
        Damage(.badBlock, "block 0 of inode 4", "UPDATE block SET segments=x'01' WHERE idx=0"),
        Damage(
            .badBlock,
            "block 1 of inode 4",
            "UPDATE block SET segments=zeroblob(64) WHERE idx=1"
        ),
        Damage(
            .badBlock,
            "block 1 of inode 4",
            "UPDATE block SET segments=x'ffffff7f' || zeroblob(60) WHERE idx=1"
        ),
        Damage(.badBlock, "block 1 of inode 4", "UPDATE block SET stripe=x'00' WHERE idx=1"),
        Damage(.badBlock, "block 1 of inode 4", "UPDATE block SET offset=-1 WHERE idx=1"),
        Damage(.badBlock, "block -1 of inode 4", "UPDATE block SET idx=-1 WHERE idx=1"),
        Damage(.blockOfNobody, "of inode 500", "UPDATE block SET ino=500 WHERE ino=8"),
        Damage(.blockOfNobody, "of inode 2", "UPDATE block SET ino=2 WHERE ino=8"),
        Damage(.blockPastEnd, "block 1 of inode 4", "UPDATE inode SET size=1048577 WHERE ino=4"),
        Damage(.wrongBlockCount, "inode 4", "UPDATE inode SET blocks=1 WHERE ino=4"),
        Damage(.wrongBlockCount, "inode 4", "UPDATE inode SET blocks=9 WHERE ino=4"),
        Damage(.badResidency, "inode 8", "UPDATE residency SET mask=70000 WHERE ino=8"),
        Damage(.badResidency, "inode 8", "UPDATE residency SET mask=0, held=0 WHERE ino=8"),
        Damage(
            .badResidency,
            "block 0 of inode 7",
            "INSERT INTO residency VALUES(7, 0, 1, 65536, NULL)"
        ),
        Damage(
            .residencyOfNobody,
            "inode 500",
            "INSERT INTO residency VALUES(500, 0, 1, 1, NULL)"
        ),
        Damage(
            .residencyPastEnd,
            "block 100 of inode 4",
            "INSERT INTO residency VALUES(4, 100, 1, 0, NULL)"
        ),
        Damage(.wrongHeldBytes, "inode 8", "UPDATE residency SET held=1 WHERE ino=8"),
        Damage(.badDirtyMark, "inode 7", "UPDATE residency SET dirty_since=-1 WHERE ino=7"),
        Damage(
            .badDirtyMark,
            "inode 7",
            "UPDATE residency SET dirty_since=9223372036854775807 WHERE ino=7"
        ),
        Damage(
            .badDirtyMark,
            "of inode",
            "UPDATE residency SET dirty_since=(SELECT MAX(dirty_since) FROM residency)"
        ),
    ]

    private static let stripes = [
        Damage(.badStripe, id(1), "UPDATE stripe SET k=0 WHERE id=x'\(hex(1))'"),
        Damage(.badStripe, id(1), "UPDATE stripe SET state=7 WHERE id=x'\(hex(1))'"),
        Damage(.badStripe, id(1), "UPDATE stripe SET shard_bytes=1000 WHERE id=x'\(hex(1))'"),
        Damage(.badStripe, id(1), "UPDATE stripe SET payload_bytes=1 WHERE id=x'\(hex(1))'"),
        Damage(.badStripe, "stripe 00", "UPDATE stripe SET id=x'00' WHERE id=x'\(hex(1))'"),
        Damage(.blockWithoutStripe, "of inode 4", "DELETE FROM stripe WHERE id=x'\(hex(1))'"),
        Damage(
            .blockWithoutStripe,
            "of inode 4",
            "UPDATE stripe SET state=3 WHERE id=x'\(hex(1))'"
        ),
        Damage(.blockOutsideStripe, "inode 8", "UPDATE block SET offset=4000000 WHERE ino=8"),
        Damage(.overlappingBlocks, "of inode 4", "UPDATE block SET offset=7 WHERE ino=4"),
        Damage(.wrongStripeCount, id(1), "UPDATE stripe SET live_blocks=9 WHERE id=x'\(hex(1))'"),
        Damage(.wrongStripeCount, id(1), "UPDATE stripe SET live_bytes=1 WHERE id=x'\(hex(1))'"),
        Damage(.wrongStripeCount, id(2), "DELETE FROM block WHERE ino=8"),
        Damage(
            .badCheckpoint,
            "piece 0",
            "INSERT INTO checkpoint VALUES(0, 0, 4, x'77', 0, 9, 9, x'09000000', NULL)"
        ),
        Damage(
            .badCheckpoint,
            "piece -1",
            "INSERT INTO checkpoint VALUES(-1, 0, 4, x'\(hex(1))', 0, 9, 8, x'09000000', NULL)"
        ),
        Damage(.badSnapshot, "snapshot 5", "INSERT INTO snapshot VALUES(5, 9, 'a', NULL, 'no')"),
        Damage(.badShard, id(1), "UPDATE shard SET shard=x'00' WHERE idx=2"),
        Damage(.badShard, id(1), "UPDATE shard SET provider=x'' WHERE idx=2"),
        Damage(.badShard, id(1), "UPDATE shard SET root='none' WHERE idx=2"),
        Damage(.badShard, "shard 99", "UPDATE shard SET idx=99 WHERE idx=2"),
        Damage(
            .shardOfNobody,
            "stripe 77",
            "UPDATE shard SET stripe=x'77' WHERE idx=2 AND stripe=x'\(hex(1))'"
        ),
        Damage(.wrongShardCount, id(1), "DELETE FROM shard WHERE idx=2"),
        Damage(.wrongShardCount, id(3), "DELETE FROM shard WHERE stripe=x'\(hex(3))'"),
        Damage(
            .sharedProvider,
            id(1),
            "UPDATE shard SET provider=(SELECT MIN(provider) FROM shard) WHERE idx < 2"
        ),
        Damage(
            .deadShardInUse,
            id(1),
            """
            UPDATE shard SET (shard, provider) = (
                SELECT shard, provider FROM shard s WHERE s.stripe=x'\(hex(1))' AND s.idx=shard.idx
            ) WHERE stripe=x'\(hex(3))'
            """
        ),
        Damage(.wrongSchema, "block_stripe", "DROP INDEX block_stripe"),
        Damage(.wrongSchema, "table inode.rdev", "ALTER TABLE inode DROP COLUMN rdev"),
        Damage(.wrongSchema, "table other", "CREATE TABLE other(x)"),
        Damage(.databaseDamaged, "", "PRAGMA application_id=0; PRAGMA user_version=0"),
    ]

    private static func hex(_ stripe: UInt64) -> String {
        let id: StripeID = Stripes.id(stripe)
        return Hex.encode(id.bytes)
    }

    private static func id(_ stripe: UInt64) -> String { "stripe \(hex(stripe))" }

    @Test(arguments: damages)
    func damageIsFound(_ damage: Damage) throws {
        try Self.withSample { path in
            try Database(path: path).executeScript(damage.sql)
            let found = try findings(in: path)
            let isFound = found.contains {
                $0.kind == damage.kind && $0.subject.contains(damage.subject)
            }
            #expect(isFound, "found instead: \(found)")
        }
    }

    /// Kinds that a database alone can show.
    @Test func everyKindOfTheDatabaseHasItsDamage() {
        let others: [CheckFinding.Kind] = [
            .databaseMissing, .cacheMissing, .cacheFileMissing, .cacheFileShort, .cacheHole,
            .cacheBytesInHole, .cacheBytesPastEnd, .cacheFileOfNobody, .wrongCacheBytes,
            .unreadableCacheFile, .shardMissing, .wrongShard, .stripeLost, .unreadableBlock,
        ]
        let wanted = Set(CheckFinding.Kind.allCases).subtracting(others)
        #expect(Set(Self.damages.map(\.kind)) == wanted)
    }

    @Test func everyKindIsOnThePage() throws {
        var root = Directory.parent(of: #filePath)
        for _ in 0..<2 { root = Directory.parent(of: root) }
        let page = String(decoding: try WholeFile.read(root + "/docs/fsck.md"), as: UTF8.self)
        for kind in CheckFinding.Kind.allCases { #expect(page.contains("`\(kind.rawValue)`")) }
        for kind in CheckNote.Kind.allCases { #expect(page.contains("`\(kind.rawValue)`")) }
    }

    @Test func theSampleIsWhole() throws {
        try Self.withSample { path in
            let report = try check(path)
            #expect(report.findings == [])
            #expect(report.inodes == 9)
            #expect(report.stripes == 3)
            #expect(report.notes.map(\.kind) == [.orphan])
        }
    }

    @Test(arguments: 0..<60)
    func strayBytesAreFoundOrHarmless(seed: UInt64) throws {
        try Self.withSample { path in
            var random = SeededGenerator(seed: seed)
            let file = try Descriptor(opening: path, .readWrite)
            let size = try file.size()
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                let count = Int.random(in: 1...2000, using: &random)
                let offset = UInt64.random(in: 0..<size, using: &random)
                try file.write(at: offset, random.bytes(count))
            }
            // Whatever comes of it: no trap and no hang, and a store that opens and reads.
            do {
                let report = try check(path)
                if report.isClean { try MetadataStore(opening: path).close() }
            } catch let error as FileSystemError {
                #expect([.invalid, .inputOutput].contains(error.code), "\(error)")
            }
        }
    }

    @Test(arguments: 0..<60)
    func randomValuesAreNoTrap(seed: UInt64) throws {
        try Self.withSample { path in
            var random = SeededGenerator(seed: seed)
            try Self.scramble(path, &random)
            let report = try check(path)
            for finding in report.findings {
                #expect(!finding.message.contains("\n"))
                #expect(finding.message.count <= 500)
            }
        }
    }

    /// Puts a few values of any kind into a few places of the database.
    static func scramble(_ path: String, _ random: inout SeededGenerator) throws {
        let database = try Database(path: path)
        let columns = try database.query(
            """
            SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
            WHERE m.type = 'table'
            """
        ) { ($0.text(0), $0.text(1)) }
        let values: [Value] = [
            .integer(.max), .integer(.min), -1, 0, 1_000_000_000_000, .real(0.5),
            .real(.infinity), "", "text", .blob([]), .blob([0xff]), .blob(random.bytes(16)),
            .blob(random.bytes(5_000)),
        ]
        for _ in 0..<8 {
            guard let (table, column) = columns.randomElement(using: &random),
                let value = values.randomElement(using: &random)
            else { continue }
            let first = Int.random(in: 0..<4, using: &random)
            // A value that a constraint refuses is no damage.
            try? database.execute(
                """
                UPDATE OR IGNORE \(table) SET \(column)=?
                WHERE \(column) = (SELECT \(column) FROM \(table) LIMIT 1 OFFSET \(first))
                """,
                value
            )
        }
    }

    @Test func aFileOfZerosIsDamage() throws {
        try withScratch { directory in
            for (number, size) in [0, 100, 4096, 100_000].enumerated() {
                let path = directory + "/\(number).db"
                try WholeFile.create(path, with: [UInt8](repeating: 0, count: size))
                let kinds = try check(path).findings.map(\.kind)
                #expect(kinds == [.databaseDamaged], "\(size) zeros")
            }
        }
    }

    @Test func aDatabaseOfAnotherProgramIsRefused() throws {
        try withScratch { directory in
            let path = directory + "/other.db"
            try Database(path: path).executeScript("PRAGMA application_id=7")
            let refusal = code { _ = try check(path) }
            #expect(refusal == .invalid)
        }
    }

    /// Runs `body` with a closed store that has a bit of everything.
    static func withSample(_ body: (String) throws -> Void) throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            let directory = try store.make("d", .directory)
            let inner = try store.make("inner", in: directory, .directory)
            let file = try store.make("file", in: directory)
            try store.make("link", in: inner, .link("there"))
            let hard = try store.make("h1")
            _ = try store.link(hard, as: try name("h2"), in: directory, now: time(3))
            try store.setExtendedAttribute(
                Array("user.a".utf8),
                to: [1],
                mode: .set,
                of: hard,
                now: time(3)
            )
            let dirty = try store.make("dirty")
            let second = try store.make("second")
            let orphan = try store.make("orphan")
            try store.unlink(try name("orphan"), in: .root, now: time(4))
            #expect(orphan == InodeNumber(9))
            for ino in [file, second] { try store.setFileKey([1, 2, 3], of: ino) }
            _ = try Stripes.place(file, bytes: 2_500_000, 1, in: store)
            _ = try Stripes.place(second, bytes: 1 << 20, 2, in: store)
            let dead = try Stripes.begin(3, in: store)
            try store.abandonStripe(dead.id)
            try store.recordWrite(dirty, growingTo: 2 << 20, now: time(5))
            _ = try store.markDirty(dirty, BlockIndex(1), since: time(5), resident: 0)
            try store.close()
            try body(path)
        }
    }
}
