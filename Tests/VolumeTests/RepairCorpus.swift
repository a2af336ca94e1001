import Disk
import Metadata
import Primitives
import Volume

/// A volume with something of everything, whose contents are known.
struct RepairCorpus {
    // Inodes, in the order in which `make` makes them.
    static let directory = InodeNumber(2)
    static let inner = InodeNumber(3)
    static let link = InodeNumber(4)
    /// Placed in a stripe of its own, and not cached.
    static let cold = InodeNumber(5)
    /// Placed and cached.
    static let warm = InodeNumber(6)
    static let small = InodeNumber(7)
    /// Placed; holes around its one block.
    static let sparse = InodeNumber(8)
    /// Changed and never placed.
    static let dirty = InodeNumber(9)
    /// Placed, and its first block changed since.
    static let changed = InodeNumber(10)

    /// What each file holds, by inode.
    let contents: [InodeNumber: [UInt8]]

    static func make(in fixture: VolumeFixture) throws -> RepairCorpus {
        var random = SeededGenerator(seed: 4711)
        var contents: [InodeNumber: [UInt8]] = [:]
        try fixture.open { engine in
            func directory(_ name: String, in parent: InodeNumber) throws -> InodeNumber {
                try engine.create(
                    NewInode(kind: .directory, mode: 0o755, uid: 0, gid: 0),
                    named: EntryName(Array(name.utf8)),
                    in: parent
                ).ino
            }
            let top = try directory("d", in: .root)
            let inner = try directory("inner", in: top)
            _ = try engine.create(
                NewInode(
                    kind: .symbolicLink,
                    mode: 0o777,
                    uid: 0,
                    gid: 0,
                    target: Array("there".utf8)
                ),
                named: EntryName(Array("link".utf8)),
                in: inner
            )
            let cold = try engine.makeFile("cold", in: top)
            contents[cold] = random.bytes(2_500_000)
            try engine.write(contents[cold] ?? [], at: 0, to: cold)
            try engine.place()
            let warm = try engine.makeFile("warm", in: top)
            contents[warm] = random.bytes(1_300_000)
            let small = try engine.makeFile("small", in: inner)
            contents[small] = random.bytes(3_000)
            for ino in [warm, small] { try engine.write(contents[ino] ?? [], at: 0, to: ino) }
            let sparse = try engine.makeFile("sparse", in: inner)
            let data = random.bytes(100_000)
            let hole = [UInt8](repeating: 0, count: 2 << 20)
            contents[sparse] = hole + data + [UInt8](repeating: 0, count: 900_000)
            try engine.write(data, at: 2 << 20, to: sparse)
            try engine.resize(sparse, to: UInt64(contents[sparse]?.count ?? 0))
            let dirty = try engine.makeFile("dirty")
            let changed = try engine.makeFile("changed")
            contents[changed] = random.bytes(1_500_000)
            try engine.write(contents[changed] ?? [], at: 0, to: changed)
            try engine.place()
            _ = try engine.dropCache()
            for ino in [warm, small, sparse, changed] {
                _ = try engine.read(ino, 0..<(contents[ino]?.count ?? 0))
            }
            contents[dirty] = random.bytes(1_200_000)
            try engine.write(contents[dirty] ?? [], at: 0, to: dirty)
            let news = random.bytes(5_000)
            contents[changed]?.replaceSubrange(100..<5_100, with: news)
            try engine.write(news, at: 100, to: changed)
            try engine.setExtendedAttribute(
                Array("user.a".utf8),
                to: [1, 2, 3],
                mode: .set,
                of: warm
            )
            _ = try engine.link(small, as: EntryName(Array("second".utf8)), in: .root)
        }
        return RepairCorpus(contents: contents)
    }

    /// What became of a file.
    enum Fate: Equatable {
        case whole
        /// Part of it cannot be read; what can is right.
        case partly
        /// Bytes that were never written, or a wrong size.
        case wrong(String)
        case gone
    }

    /// Reads a file a segment at a time and compares it.
    func fate(of ino: InodeNumber, in engine: VolumeEngine) throws -> Fate {
        guard let wanted = contents[ino] else { return .gone }
        do throws(FileSystemError) {
            let size = try engine.attributes(of: ino).size
            if size != UInt64(wanted.count) { return .wrong("size \(size) of \(wanted.count)") }
        } catch {
            return error.code == .notFound ? .gone : .partly
        }
        var fate = Fate.whole
        for start in stride(from: 0, to: wanted.count, by: Geometry.segmentBytes) {
            let end = min(wanted.count, start + Geometry.segmentBytes)
            do {
                let bytes = try engine.read(ino, start..<end)
                if bytes != Array(wanted[start..<end]) { return .wrong("bytes at \(start)") }
            } catch let error as FileSystemError {
                guard error.code == .corrupt || error.code == .unavailable else { throw error }
                fate = .partly
            }
        }
        return fate
    }
}
