import Disk
import Metadata
import Primitives
import Sealing
import Testing
import Volume

/// The metadata of a volume whose key is changed.
struct FileKeyRewrappingTests {
    /// More than a page of keys.
    private static let fileCount = 5000

    private let keys: [FileKey] = (0..<fileCount).map { _ in .random() }

    private func withStore(_ body: (String, [InodeNumber]) throws -> Void) throws {
        let directory = "/tmp/mefs-test-rewrap-\(UInt64.random(in: 0 ... .max))"
        try Directory.make(directory, durably: false)
        defer { try? Directory.remove(tree: directory) }
        let path = directory + "/volume.db"
        let now = Timestamp(seconds: 1, nanoseconds: 0)
        try MetadataStore.create(at: path, uid: 0, gid: 0, now: now)
        let store = try MetadataStore(opening: path)
        let inodes = try keys.indices.map { index in
            try store.create(
                NewInode(kind: .regular, mode: 0o644, uid: 0, gid: 0),
                named: EntryName(Array("f\(index)".utf8)),
                in: .root,
                now: now
            ).ino
        }
        try store.close()
        try body(path, inodes)
    }

    private func wrapAll(_ path: String, _ inodes: [InodeNumber], under key: VolumeKey) throws {
        let store = try MetadataStore(opening: path)
        for (ino, file) in zip(inodes, keys) {
            try store.setFileKey(key.wrap(file, for: ino), of: ino)
        }
        try store.close()
    }

    private func expectAll(_ path: String, _ inodes: [InodeNumber], open key: VolumeKey) throws {
        let store = try MetadataStore(opening: path)
        for (ino, file) in zip(inodes, keys) {
            let wrapped = try #require(try store.fileKey(of: ino))
            #expect(try key.unwrap(wrapped, for: ino) == file)
        }
        try store.close()
    }

    @Test func everyFileOpensWithTheNewKeyAlone() throws {
        try withStore { path, inodes in
            let old = VolumeKey.random()
            try wrapAll(path, inodes, under: old)
            let new = try #require(old.next())
            #expect(try FileKeyRewrapping.isNeeded(metadataPath: path, key: new))
            let outcome = try FileKeyRewrapping.run(metadataPath: path, key: new)
            #expect(outcome.files == UInt64(Self.fileCount))
            #expect(outcome.rewrapped == outcome.files && outcome.unreadable == 0)
            #expect(try !FileKeyRewrapping.isNeeded(metadataPath: path, key: new))
            try expectAll(path, inodes, open: VolumeKey(trusted: new.bytes))
            let again = try FileKeyRewrapping.run(metadataPath: path, key: new)
            #expect(again.rewrapped == 0 && again.files == outcome.files)
        }
    }

    /// What is left by a process that was killed between two pages.
    @Test func halfARotationIsFinished() throws {
        try withStore { path, inodes in
            let old = VolumeKey.random()
            try wrapAll(path, inodes, under: old)
            let new = try #require(old.next())
            let store = try MetadataStore(opening: path)
            for (ino, file) in zip(inodes, keys).prefix(777) {
                try store.setFileKey(new.wrap(file, for: ino), of: ino)
            }
            try store.close()
            try expectAll(path, inodes, open: new)
            #expect(try FileKeyRewrapping.isNeeded(metadataPath: path, key: new))
            let outcome = try FileKeyRewrapping.run(metadataPath: path, key: new)
            #expect(outcome.rewrapped == UInt64(Self.fileCount - 777))
            try expectAll(path, inodes, open: VolumeKey(trusted: new.bytes))
        }
    }

    @Test func nothingOfTheOldWrapsStaysInTheFiles() throws {
        try withStore { path, inodes in
            let old = VolumeKey.random()
            try wrapAll(path, inodes, under: old)
            let store = try MetadataStore(opening: path)
            let before = try inodes.map { try #require(try store.fileKey(of: $0)) }
            try store.close()
            #expect(try found(before, in: path) == before.count, "the search finds nothing")
            let new = try #require(old.next())
            _ = try FileKeyRewrapping.run(metadataPath: path, key: new)
            #expect(try found(before, in: path) == 0)
        }
    }

    /// Nearly the same when files are removed: then nobody can read what providers still hold.
    @Test func unlinkingDestroysTheWrap() throws {
        try withStore { path, inodes in
            let key = VolumeKey.random()
            try wrapAll(path, inodes, under: key)
            let store = try MetadataStore(opening: path)
            let before = try inodes.map { try #require(try store.fileKey(of: $0)) }
            let now = Timestamp(seconds: 2, nanoseconds: 0)
            for index in inodes.indices where !index.isMultiple(of: 10) {
                let name = try EntryName(Array("f\(index)".utf8))
                #expect(try store.unlink(name, in: .root, now: now).linkCount == 0)
                try store.reap(inodes[index])
            }
            try store.close()
            let gone = before.indices.filter { !$0.isMultiple(of: 10) }.map { before[$0] }
            // Where SQLite has moved a row from page to page, an old copy of it may stay.
            let left = try found(gone, in: path)
            #expect(left <= gone.count / 50)
            #expect(try found(before, in: path) == before.count - gone.count + left)
        }
    }

    /// How many of `wraps` are in the database or its log, by their nonces and first bytes.
    private func found(_ wraps: [[UInt8]], in path: String) throws -> Int {
        var wanted: Set<[UInt8]> = Set(wraps.map { Array($0[1..<17]) })
        var count = 0
        for suffix in ["", "-wal"] where WholeFile.exists(path + suffix) {
            let bytes = try WholeFile.read(path + suffix, limit: 256 << 20)
            guard bytes.count > 17 else { continue }
            for index in 0..<bytes.count - 16 where bytes[index] == 1 {
                if wanted.remove(Array(bytes[index + 1..<index + 17])) != nil { count += 1 }
            }
        }
        return count
    }
}
