import Cache
import Disk
import Glibc
import Primitives
import Synchronization
import Testing

struct CacheStoreTests {
    private let ino = InodeNumber(0x1a2b)

    @Test func readsBackWhatWasWritten() throws {
        try withCache { cache in
            try cache.write(ino, at: 70_000, [1, 2, 3])
            #expect(try cache.read(ino, at: 69_999, 5) == [0, 1, 2, 3, 0])
            #expect(cache.path(of: ino) == cache.directory + "/2b/1a2b")
            #expect(try cache.inodes() == [ino])
        }
    }

    @Test func inodeWithoutAFileReadsZeroAndGetsNone() throws {
        try withCache { cache in
            #expect(try cache.read(ino, at: 1 << 40, 3) == [0, 0, 0])
            try cache.punch(ino, 0..<10)
            try cache.truncate(ino, to: 10)
            try cache.sync(ino)
            try cache.remove(ino)
            #expect(try cache.dataRanges(of: ino) == [])
            #expect(try cache.inodes() == [])
        }
    }

    @Test func punchedRangeReadsZeroAndGivesSpaceBack() throws {
        try withCache { cache in
            let segment = UInt64(Geometry.segmentBytes)
            try cache.write(ino, at: 0, [UInt8](repeating: 5, count: Geometry.blockBytes))
            try cache.sync(ino)
            let before = try cache.usedBytes()
            try cache.punch(ino, segment..<3 * segment)
            #expect(try cache.usedBytes() == before - 2 * segment)
            #expect(try cache.read(ino, at: segment - 1, 2) == [5, 0])
            #expect(try cache.read(ino, at: 3 * segment - 1, 2) == [0, 5])
            let ranges = try cache.dataRanges(of: ino)
            #expect(ranges == [0..<segment, 3 * segment..<UInt64(Geometry.blockBytes)])
        }
    }

    @Test func truncatedBytesDoNotComeBack() throws {
        try withCache { cache in
            try cache.write(ino, at: 0, [1, 2, 3, 4])
            try cache.truncate(ino, to: 2)
            try cache.truncate(ino, to: 4)
            #expect(try cache.read(ino, at: 0, 4) == [1, 2, 0, 0])
        }
    }

    @Test func removedInodeReadsZeroThroughItsOpenDescriptorToo() throws {
        try withCache { cache in
            try cache.write(ino, at: 0, [1])
            let held = try cache.openFile(ino)
            try cache.remove(ino)
            #expect(cache.openFileCount == 0)
            #expect(try cache.read(ino, at: 0, 1) == [0])
            #expect(try held.read(at: 0, count: 1) == [1])
            #expect(try cache.inodes() == [])
        }
    }

    @Test func filesOfRemovedInodesAreKeptEmptyUntilTheyAreFreed() throws {
        try withCache { cache in
            let retired = cache.directory + "/retired"
            for number: UInt64 in 1...3 {
                try cache.write(InodeNumber(number), at: 100_000, [1, 2, 3])
                try cache.remove(InodeNumber(number))
                #expect(try cache.read(InodeNumber(number), at: 100_000, 3) == [0, 0, 0])
            }
            #expect(try cache.inodes() == [])
            let kept = try Directory.list(retired)
            #expect(kept.count == 3)
            for name in kept {
                let file = try Descriptor(opening: retired + "/" + name)
                #expect(try file.allocatedBytes() == 0)
            }
            let isAllAtFirst = try cache.freeRetired(limit: 2)
            #expect(!isAllAtFirst)
            #expect(try Directory.list(retired).count == 1)
            let isAllThen = try cache.freeRetired(limit: 2)
            #expect(isAllThen)
            #expect(try Directory.list(retired).isEmpty)
        }
    }

    @Test func fileThatSomebodyHasOpenIsNotEmptied() throws {
        try withCache { cache in
            try cache.write(ino, at: 0, [1])
            let held = try cache.openFile(ino)
            try cache.remove(ino)
            #expect(try Directory.list(cache.directory + "/retired").isEmpty)
            #expect(try held.read(at: 0, count: 1) == [1])
        }
    }

    @Test func retiredFilesOfAnEarlierProcessAreRemoved() throws {
        try withScratch { directory in
            do {
                let cache = try CacheStore(directory: directory)
                try cache.write(ino, at: 0, [1])
                try cache.remove(ino)
            }
            #expect(try Directory.list(directory + "/retired").count == 1)
            _ = try CacheStore(directory: directory)
            #expect(try Directory.list(directory + "/retired").isEmpty)
        }
    }

    @Test func contentsOutliveTheProcess() throws {
        try withScratch { directory in
            try CacheStore(directory: directory).write(ino, at: 3, [9])
            let cache = try CacheStore(directory: directory)
            #expect(try cache.read(ino, at: 3, 1) == [9])
            try cache.sync(ino)
            try cache.syncAll()
        }
    }

    @Test func secondOpenerIsRefused() throws {
        try withCache { cache in
            let error = #expect(throws: FileSystemError.self) {
                try CacheStore(directory: cache.directory)
            }
            #expect(error?.code == .notPermitted)
            #expect(error?.message.contains("process \(getpid())") == true)
        }
    }

    @Test func strangersInTheDirectoryAreLeftAlone() throws {
        try withCache { cache in
            try cache.write(ino, at: 0, [1])
            for name in ["00/notes.txt", "2b/1A2B", "00/1a2b", "2b/01a2b"] {
                try WholeFile.replace(cache.directory + "/" + name, with: [1])
            }
            #expect(try cache.inodes() == [ino])
        }
    }

    @Test func openFilesStayBelowTheLimit() throws {
        try withCache { cache in
            let count = CacheStore.openFilesMax + 100
            for number in 1...count {
                try cache.write(InodeNumber(UInt64(number)), at: 0, [UInt8(number & 255)])
            }
            #expect(cache.openFileCount == CacheStore.openFilesMax)
            for number in 1...count {
                let bytes = try cache.read(InodeNumber(UInt64(number)), at: 0, 1)
                #expect(bytes == [UInt8(number & 255)])
            }
            #expect(cache.openFileCount == CacheStore.openFilesMax)
            #expect(try cache.inodes().count == count)
            // The descriptors of this process are what the table says, not more.
            let open = try Directory.list("/proc/self/fd")
                .compactMap { try? Directory.resolve("/proc/self/fd/" + $0) }
                .filter { $0.hasPrefix(cache.directory + "/") && !$0.hasSuffix(".lock") }
            #expect(open.count == CacheStore.openFilesMax)
        }
    }

    @Test(.enabled(if: isSuperuser)) func fullDiskIsNoSpaceAndKeepsWhatIsThere() throws {
        try withTinyDisk(bytes: 1 << 20) { directory in
            let cache = try CacheStore(directory: directory)
            try cache.write(ino, at: 0, [1, 2, 3])
            let error = #expect(throws: FileSystemError.self) {
                try cache.write(ino, at: 4096, [UInt8](repeating: 1, count: 2 << 20))
            }
            #expect(error?.code == .noSpace)
            #expect(error?.message.contains(directory) == true)
            #expect(try cache.read(ino, at: 0, 3) == [1, 2, 3])
            #expect(try cache.freeBytes() < 8192)
            // Space given back can be used again.
            try cache.punch(ino, 4096..<2 << 20)
            try cache.write(ino, at: 0, [UInt8](repeating: 2, count: 100_000))
        }
    }

    /// Each thread owns some inodes and checks what it wrote; the table is far too small for all,
    /// and removals go on beside.
    @Test func threadsOnDifferentInodesDoNotDisturbEachOther() throws {
        try withCache { cache in
            let problems = Mutex<[String]>([])
            let threads = try (0..<6).map { owner in
                try Thread.spawn("stress-\(owner)") {
                    do {
                        try stress(cache, owner: owner, rounds: 600)
                    } catch {
                        problems.withLock { $0.append("\(error)") }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(problems.withLock { $0 } == [])
            #expect(cache.openFileCount <= CacheStore.openFilesMax)
        }
    }

    /// Inodes are shared, each byte is written by one thread only.
    @Test func threadsOnOneInodeKeepTheirBytes() throws {
        try withCache { cache in
            let problems = Mutex<[String]>([])
            let threads = try (0..<4).map { lane in
                try Thread.spawn("lane-\(lane)") {
                    do {
                        for round in 0..<200 {
                            let ino = InodeNumber(UInt64(round))
                            let bytes = [UInt8](repeating: UInt8(lane + 1), count: 1000)
                            try cache.write(ino, at: UInt64(lane * 1000), bytes)
                            let seen = try cache.read(ino, at: UInt64(lane * 1000), 1000)
                            if seen != bytes { problems.withLock { $0.append("\(round)") } }
                            if round.isMultiple(of: 50) { try cache.sync(ino) }
                        }
                    } catch {
                        problems.withLock { $0.append("\(error)") }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(problems.withLock { $0 } == [])
            let expected = (1...4).flatMap { [UInt8](repeating: UInt8($0), count: 1000) }
            for round in 0..<200 {
                #expect(try cache.read(InodeNumber(UInt64(round)), at: 0, 4000) == expected)
            }
        }
    }
}

/// A file that holds something else than it should.
private struct Mismatch: Error {
    let ino: UInt64
    let seen: [UInt8]
}

/// Writes, checks and removes inodes that only this `owner` touches.
private func stress(_ cache: CacheStore, owner: Int, rounds: Int) throws {
    var generator = SeededGenerator(seed: UInt64(owner))
    var contents: [UInt64: UInt8] = [:]
    for _ in 0..<rounds {
        let number = UInt64.random(in: 0..<150, using: &generator) * 6 + UInt64(owner)
        let ino = InodeNumber(number)
        let seen = try cache.read(ino, at: 10, 4)
        guard seen == [UInt8](repeating: contents[number] ?? 0, count: 4) else {
            throw Mismatch(ino: number, seen: seen)
        }
        if Int.random(in: 0..<4, using: &generator) == 0 {
            try cache.remove(ino)
            contents[number] = nil
        } else {
            let value = UInt8.random(in: 1...255, using: &generator)
            try cache.write(ino, at: 10, [UInt8](repeating: value, count: 4))
            contents[number] = value
        }
    }
}
