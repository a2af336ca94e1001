import Disk
import Metadata
import Primitives
import Testing
import Volume

// What is done to volumes whose repair is tested.
extension RepairTests {
    /// What is to become of a file that a harm is about.
    enum Toll: Sendable {
        /// Every byte can be read again.
        case nothing
        /// Some bytes cannot be read; the file says so.
        case some([InodeNumber])
    }

    struct Harm: CustomTestStringConvertible, Sendable {
        let name: String
        let kind: CheckFinding.Kind
        let toll: Toll
        var deep = false
        var network = false
        let make: @Sendable (VolumeFixture) throws -> Void
        var testDescription: String { name }

        init(
            _ name: String,
            _ kind: CheckFinding.Kind,
            _ toll: Toll = .nothing,
            deep: Bool = false,
            network: Bool = false,
            _ make: @escaping @Sendable (VolumeFixture) throws -> Void
        ) {
            self.name = name
            self.kind = kind
            self.toll = toll
            self.deep = deep
            self.network = network || deep
            self.make = make
        }

        init(
            _ name: String,
            _ kind: CheckFinding.Kind,
            _ toll: Toll = .nothing,
            deep: Bool = false,
            sql: String
        ) {
            self.init(name, kind, toll, deep: deep) { try $0.run(sql) }
        }
    }

    private static let (cold, warm, small) = (
        RepairCorpus.cold, RepairCorpus.warm, RepairCorpus.small
    )
    private static let (sparse, dirty, changed) = (
        RepairCorpus.sparse, RepairCorpus.dirty, RepairCorpus.changed
    )
    /// The stripe of `cold` alone, and that of the others.
    private static let ofCold = "(SELECT stripe FROM block WHERE ino=5 LIMIT 1)"
    private static let ofWarm = "(SELECT stripe FROM block WHERE ino=6 LIMIT 1)"

    static let harms: [Harm] = names + inodes + content + stripes + cache + providers

    private static let names: [Harm] = [
        Harm("next inode", .badMeta, sql: "UPDATE meta SET value=3 WHERE key='next_inode'"),
        Harm("no boot id", .badMeta, sql: "DELETE FROM meta WHERE key='boot_id'"),
        Harm("clean is 7", .badMeta, sql: "UPDATE meta SET value=7 WHERE key='clean'"),
        Harm("a slash", .badName, sql: "UPDATE dentry SET name=x'612f62' WHERE ino=6"),
        Harm("dot dot", .badName, sql: "UPDATE dentry SET name=x'2e2e' WHERE ino=6"),
        Harm(
            "a name of nothing",
            .danglingEntry,
            sql: "INSERT INTO dentry VALUES(1, x'78', 500, 4)"
        ),
        Harm(
            "a name in a file",
            .entryOutsideDirectory,
            sql: "UPDATE dentry SET parent=9 WHERE ino=6"
        ),
        Harm(
            "a name in nothing",
            .entryOutsideDirectory,
            sql: "UPDATE dentry SET parent=777 WHERE ino=6"
        ),
        Harm("cookie 2", .badCookie, sql: "UPDATE dentry SET cookie=2 WHERE ino=6"),
        Harm("one cookie", .sharedCookie, sql: "UPDATE dentry SET cookie=3 WHERE parent=2"),
        Harm("links", .wrongLinkCount, sql: "UPDATE inode SET nlink=nlink+5"),
        Harm("links of none", .entryOutsideDirectory, sql: "UPDATE inode SET nlink=0 WHERE ino=3"),
        Harm("entries", .wrongEntryCount, sql: "UPDATE inode SET entries=0 WHERE kind=2"),
        Harm("parent", .wrongParent, sql: "UPDATE inode SET parent=1 WHERE ino=3"),
        Harm(
            "two names of a directory",
            .wrongParent,
            sql: "INSERT INTO dentry VALUES(1, x'7a', 3, 90)"
        ),
        Harm(
            "a ring",
            .unreachableInode,
            sql: "UPDATE dentry SET parent=3 WHERE ino=2; UPDATE inode SET parent=3 WHERE ino=2"
        ),
        Harm("no name", .unreachableInode, sql: "DELETE FROM dentry WHERE ino=6"),
        Harm("no names at all", .unreachableInode, sql: "DELETE FROM dentry"),
        Harm("no orphan", .wrongOrphan, sql: "INSERT INTO orphan VALUES(6)"),
        Harm("no target", .missingTarget, sql: "DELETE FROM symlink"),
        Harm("another target", .wrongTarget, sql: "UPDATE symlink SET target=x'6162'"),
        Harm("attributes", .wrongAttributeBytes, sql: "DELETE FROM xattr"),
        Harm("an attribute's value", .badAttribute, sql: "UPDATE xattr SET value='text'"),
        Harm(
            "attributes of nobody",
            .attributeOfNobody,
            sql: "INSERT INTO xattr VALUES(500, x'61', x'62')"
        ),
        Harm("a target of a file", .targetOfNobody, sql: "INSERT INTO symlink VALUES(6, x'61')"),
    ]

    private static let inodes: [Harm] = [
        Harm("mode", .badInode, sql: "UPDATE inode SET mode=65536 WHERE ino=6"),
        Harm("kind", .badInode, sql: "UPDATE inode SET kind=9"),
        Harm("size", .badInode, sql: "UPDATE inode SET size=-1 WHERE ino IN (5, 6, 7, 9, 10)"),
        Harm("owner", .badInode, sql: "UPDATE inode SET uid='me'"),
        Harm("times", .badInode, sql: "UPDATE inode SET mtime_ns=-1, ctime='now'"),
        Harm("a root that is a file", .badInode, sql: "UPDATE inode SET kind=1 WHERE ino=1"),
        Harm("no root", .badInode, sql: "DELETE FROM inode WHERE ino=1"),
        Harm("inodes of files", .danglingEntry, sql: "DELETE FROM inode WHERE ino IN (5,6,7,9,10)"),
        Harm("the inode of a directory", .danglingEntry, sql: "DELETE FROM inode WHERE ino=3"),
        Harm("the inode of a link", .danglingEntry, sql: "DELETE FROM inode WHERE ino=4"),
        Harm("nearly all inodes", .badInode, sql: "DELETE FROM inode WHERE ino <> 8"),
    ]

    private static let content: [Harm] = [
        Harm(
            "the key of cold",
            .missingKey,
            .some([cold]),
            sql: "DELETE FROM file_key WHERE ino=5"
        ),
        Harm("the key of warm", .missingKey, sql: "DELETE FROM file_key WHERE ino=6"),
        Harm(
            "a short key",
            .wrongKey,
            .some([cold]),
            sql: "UPDATE file_key SET wrapped=x'' WHERE ino=5"
        ),
        Harm(
            "another key",
            .wrongKey,
            .some([cold]),
            deep: true,
            sql: "UPDATE file_key SET wrapped=zeroblob(length(wrapped)) WHERE ino=5"
        ),
        Harm("a key of nobody", .keyOfNobody, sql: "INSERT INTO file_key VALUES(500, x'00')"),
        Harm(
            "a row of cold",
            .badBlock,
            .some([cold]),
            sql: "UPDATE block SET plain=0 WHERE ino=5 AND idx=1"
        ),
        Harm("a row of warm", .badBlock, sql: "UPDATE block SET plain=0 WHERE ino=6"),
        Harm(
            "segments",
            .badBlock,
            .some([cold]),
            sql: "UPDATE block SET segments=x'01' WHERE ino=5"
        ),
        Harm(
            "no row",
            .wrongBlockCount,
            .some([cold]),
            sql: "DELETE FROM block WHERE ino=5 AND idx=1"
        ),
        Harm("no rows", .wrongBlockCount, .some([cold]), sql: "DELETE FROM block"),
        Harm("no row of changes", .wrongBlockCount, sql: "DELETE FROM residency WHERE ino=9"),
        Harm(
            "a block of nobody",
            .blockOfNobody,
            .some([cold]),
            sql: "UPDATE block SET ino=500 WHERE ino=5 AND idx=2"
        ),
        Harm(
            "a block nowhere",
            .badBlock,
            .some([cold]),
            sql: "UPDATE block SET idx=-1 WHERE ino=5 AND idx=2"
        ),
        Harm(
            "a block past the end",
            .blockPastEnd,
            sql:
                "INSERT INTO block SELECT ino, 77, stripe, offset, plain, valid, segments, NULL "
                + "FROM block WHERE ino=5 AND idx=2"
        ),
        Harm("counts", .wrongBlockCount, sql: "UPDATE inode SET blocks=1 WHERE ino IN (5, 6)"),
        Harm("a mask", .badResidency, sql: "UPDATE residency SET mask=70000"),
        Harm(
            "nothing cached",
            .badResidency,
            sql: "UPDATE residency SET mask=0 WHERE dirty_since IS NULL"
        ),
        Harm("held", .wrongHeldBytes, sql: "UPDATE residency SET held=1"),
        Harm(
            "marks",
            .badDirtyMark,
            sql: "UPDATE residency SET dirty_since=5 WHERE dirty_since IS NOT NULL"
        ),
        Harm(
            "a mark of no time",
            .badDirtyMark,
            sql: "UPDATE residency SET dirty_since=-1 WHERE dirty_since IS NOT NULL"
        ),
        Harm(
            "cached of nobody",
            .residencyOfNobody,
            sql: "INSERT INTO residency VALUES(500, 0, 1, 1, NULL)"
        ),
        Harm(
            "cached past the end",
            .residencyPastEnd,
            sql: "INSERT INTO residency VALUES(6, 99, 1, 0, NULL)"
        ),
        Harm("an index", .wrongSchema, sql: "DROP INDEX block_stripe"),
        Harm("a column", .wrongSchema, sql: "ALTER TABLE inode DROP COLUMN rdev"),
        Harm("a table too many", .wrongSchema, sql: "CREATE TABLE other(x)"),
        Harm(
            "no mark of ours",
            .databaseDamaged,
            sql: "PRAGMA application_id=0; PRAGMA user_version=0"
        ),
        Harm("no place for stripes", .wrongSchema, .some([cold]), sql: "DROP TABLE block"),
    ]

    private static let stripes: [Harm] = [
        Harm("a code", .badStripe, sql: "UPDATE stripe SET k=0"),
        Harm("a state", .badStripe, sql: "UPDATE stripe SET state=7"),
        Harm("dead stripes", .blockWithoutStripe, sql: "UPDATE stripe SET state=3"),
        Harm("shard bytes", .badStripe, sql: "UPDATE stripe SET shard_bytes=1000"),
        Harm("payload bytes", .badStripe, sql: "UPDATE stripe SET payload_bytes=1"),
        Harm(
            "no stripe",
            .blockWithoutStripe,
            .some([cold]),
            sql: "DELETE FROM stripe WHERE id=\(ofCold)"
        ),
        Harm(
            "no stripe of warm",
            .blockWithoutStripe,
            sql: "DELETE FROM stripe WHERE id=\(ofWarm)"
        ),
        Harm(
            "outside",
            .blockOutsideStripe,
            .some([cold]),
            sql: "UPDATE block SET offset=4000000000 WHERE ino=5 AND idx=0"
        ),
        Harm("alive", .wrongStripeCount, sql: "UPDATE stripe SET live_blocks=1, live_bytes=7"),
        Harm(
            "a part of the checkpoint",
            .badCheckpoint,
            sql: "INSERT INTO checkpoint VALUES(0, 0, 4, x'77', 0, 9, 9, x'09000000', NULL)"
        ),
        Harm(
            "a kept head",
            .badSnapshot,
            sql: "INSERT INTO snapshot VALUES(5, 9, 'a', NULL, 'no')"
        ),
        Harm("no row of a shard", .wrongShardCount, sql: "DELETE FROM shard WHERE idx=2"),
        Harm(
            "three rows of shards",
            .wrongShardCount,
            .some([cold]),
            sql: "DELETE FROM shard WHERE idx<3 AND stripe=\(ofCold)"
        ),
        Harm("a root", .badShard, sql: "UPDATE shard SET root='none' WHERE idx=2"),
        Harm(
            "shards of nobody",
            .shardOfNobody,
            sql: "UPDATE shard SET stripe=x'77' WHERE idx=2 AND stripe=\(ofCold)"
        ),
        Harm(
            "one provider for two",
            .sharedProvider,
            sql:
                "UPDATE shard SET provider=(SELECT provider FROM shard WHERE idx=5 LIMIT 1) "
                + "WHERE idx=4"
        ),
        Harm(
            "an offset",
            .unreadableBlock,
            .some([cold]),
            deep: true,
            sql: "UPDATE block SET offset=offset+1 WHERE ino=5 AND idx=1"
        ),
    ]

    private static let cache: [Harm] = [
        Harm("no file of changes", .cacheFileMissing, .some([dirty])) {
            try WholeFile.remove($0.cachePath(dirty))
        },
        Harm("half a file of changes", .cacheFileShort, .some([dirty])) {
            try Descriptor(opening: $0.cachePath(dirty), .readWrite).truncate(to: 1 << 20)
        },
        Harm("a hole", .cacheHole) {
            try Descriptor(opening: $0.cachePath(warm), .readWrite).punchHole(65_536..<131_072)
        },
        Harm("bytes in a hole", .cacheBytesInHole) {
            try Descriptor(opening: $0.cachePath(sparse), .readWrite).write(at: 5_000, [1])
        },
        Harm("bytes past the end", .cacheBytesPastEnd) {
            try Descriptor(opening: $0.cachePath(warm), .readWrite).write(at: 1_300_001, [1])
        },
        Harm("a file of nobody", .cacheFileOfNobody) {
            try WholeFile.create($0.cachePath(InodeNumber(0x1234)), with: [1])
        },
        Harm("a file that cannot be read", .unreadableCacheFile) {
            try WholeFile.remove($0.cachePath(small))
            try Directory.make($0.cachePath(small))
        },
        Harm("other bytes", .wrongCacheBytes, deep: true) {
            let file = try Descriptor(opening: $0.cachePath(warm), .readWrite)
            let byte = try file.read(at: 100_000, count: 1)
            try file.write(at: 100_000, byte.map { $0 ^ 1 })
        },
    ]

    private static let providers: [Harm] = [
        Harm("a provider without shards", .shardMissing, network: true) { fixture in
            fixture.network.change(fixture.network.ids[1]) { $0.shards = [:] }
        },
        Harm("rot", .wrongShard, deep: true) { fixture in
            fixture.network.rot(fixture.network.ids[1]) { $0 / 2 }
        },
        Harm("three providers without shards", .stripeLost, .some([cold]), network: true) {
            for id in $0.network.ids.prefix(3) { $0.network.change(id) { $0.shards = [:] } }
        },
    ]
}
