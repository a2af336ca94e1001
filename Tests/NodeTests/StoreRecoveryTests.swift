import Disk
import Glibc
import Network
import Node
import Primitives
import Sealing
import Synchronization
import Testing
import Transport

@Suite struct StoreRecoveryTests {
    private let footprint = UInt64(SegmentRecord.footprint(length: 8 << 10))

    private func segment(_ path: String, _ number: Int = 1) -> String {
        let digits = String(number, radix: 16)
        return path + "/segments/" + String(repeating: "0", count: 16 - digits.count) + digits
            + ".seg"
    }

    /// A store with ten shards, the third one deleted, closed.
    private func withFilledStore(_ body: (String, [TestShard], TestShard) throws -> Void) throws {
        try withScratch { path in
            let store = try TestStore(path)
            var shards = try (0..<10).map { try TestShard(UInt64($0)) }
            for shard in shards { try store.put(shard) }
            let deleted = shards.remove(at: 2)
            try store.delete([deleted])
            store.store.close()
            try body(path, shards, deleted)
        }
    }

    @Test func reopenedStoreHasEverything() throws {
        try withFilledStore { path, shards, deleted in
            let log = LogLines()
            let store = try TestStore(path, log: log)
            defer { store.store.close() }
            #expect(shards.allSatisfy { store.has($0) })
            #expect(store.failure(deleted) == .notFound)
            #expect(store.store.status.usedBytes == 9 * footprint)
            #expect(log.all.isEmpty)
        }
    }

    @Test func lostIndexIsMadeAgain() throws {
        try withFilledStore { path, shards, deleted in
            for suffix in ["", "-wal", "-shm"] { try WholeFile.remove(path + "/index.db" + suffix) }
            let log = LogLines()
            let store = try TestStore(path, log: log)
            #expect(shards.allSatisfy { store.has($0) })
            #expect(store.failure(deleted) == .notFound)
            #expect(store.store.status.usedBytes == 9 * footprint)
            #expect(store.store.status.shardCount == 9)
            #expect(log.contains("made again: 9 shards"))
            try store.put(deleted)
            try store.delete([shards[0]])
            store.store.close()
            let again = try TestStore(path)
            defer { again.store.close() }
            #expect(again.has(deleted))
            #expect(again.failure(shards[0]) == .notFound)
        }
    }

    @Test(arguments: [0, 100, 5000])
    func damagedIndexIsMadeAgain(offset: UInt64) throws {
        try withFilledStore { path, shards, _ in
            do {
                let index = try Descriptor(opening: path + "/index.db", .readWrite)
                try index.write(at: offset, [UInt8](repeating: 0xa5, count: 4000))
            }
            let log = LogLines()
            let store = try TestStore(path, log: log)
            defer { store.store.close() }
            #expect(log.contains("is damaged and is made again"))
            #expect(shards.allSatisfy { store.has($0) })
        }
    }

    @Test func indexThatIsNoDatabaseIsMadeAgain() throws {
        try withFilledStore { path, shards, _ in
            try WholeFile.replace(path + "/index.db", with: Array("rubbish".utf8))
            let store = try TestStore(path)
            defer { store.store.close() }
            #expect(shards.allSatisfy { store.has($0) })
        }
    }

    @Test func flippedBitIsDetectedWhereItIsRead() throws {
        try withFilledStore { path, shards, _ in
            let store = try TestStore(path)
            defer { store.store.close() }
            let big = try TestShard(77, count: 64 << 10)
            try store.put(big)
            // The big shard is the last; its record begins after ten others.
            let start = UInt64(SegmentRecord.alignment) + 10 * footprint
            let file = try Descriptor(opening: segment(path), .readWrite)
            let at = start + UInt64(SegmentRecord.headerBytes(length: 64 << 10)) + 40_000
            let byte = try file.read(at: at, count: 1)
            #expect(byte == [big.bytes[40_000]])
            try file.write(at: at, [byte[0] ^ 4])
            #expect(store.failure(big) == .corrupt)
            #expect(try store.get(big, 0..<30_000) == Array(big.bytes[..<30_000]))
            let error = #expect(throws: NetworkError.self) { try store.get(big, 39_000..<39_001) }
            #expect(error?.message.contains("damaged: chunk 2 is corrupt") == true)
            #expect(shards.allSatisfy { store.has($0) })
        }
    }

    @Test func flippedBitInAHeaderIsDetected() throws {
        try withFilledStore { path, shards, _ in
            let file = try Descriptor(opening: segment(path), .readWrite)
            let at = UInt64(SegmentRecord.alignment) + 20
            let byte = try file.read(at: at, count: 1)
            try file.write(at: at, [byte[0] ^ 1])
            let store = try TestStore(path)
            defer { store.store.close() }
            #expect(store.failure(shards[0]) == .corrupt)
            #expect(shards.dropFirst().allSatisfy { store.has($0) })
        }
    }

    @Test func truncatedSegmentLosesOnlyItsTail() throws {
        try withFilledStore { path, shards, _ in
            let file = try Descriptor(opening: segment(path), .readWrite)
            try file.truncate(to: try file.size() - footprint / 2)
            let log = LogLines()
            let store = try TestStore(path, log: log)
            #expect(log.contains("has lost its end"))
            #expect(store.failure(shards[8]) == .corrupt)
            #expect(shards.dropLast().allSatisfy { store.has($0) })
            // New shards go to a new segment, so nothing ever fills the gap.
            let new = try TestShard(50)
            try store.put(new)
            store.store.close()
            let again = try TestStore(path)
            defer { again.store.close() }
            #expect(again.has(new))
            #expect(again.failure(shards[8]) == .corrupt)
        }
    }

    @Test func missingSegmentIsReportedAndTheRestServed() throws {
        try withFilledStore { path, shards, _ in
            try WholeFile.remove(segment(path))
            let log = LogLines()
            let store = try TestStore(path, log: log)
            defer { store.store.close() }
            #expect(log.contains("is missing; its shards are lost"))
            #expect(store.failure(shards[0]) == .corrupt)
            let new = try TestShard(50)
            try store.put(new)
            #expect(store.has(new))
        }
    }

    /// Shards written after the index's last commit: taken in if whole, else cut off.
    @Test func recordsBehindTheIndexAreTakenInIfWhole() throws {
        try withScratch { path in
            let store = try TestStore(path)
            let first = try TestShard(1)
            try store.put(first)
            store.store.close()
            let index = try WholeFile.read(path + "/index.db")
            let wal = try? WholeFile.read(path + "/index.db-wal")

            let more = try TestStore(path)
            let second = try TestShard(2)
            let third = try TestShard(3)
            try more.put(second)
            try more.put(third)
            more.store.close()
            // The index of before, and half of the last record.
            try WholeFile.replace(path + "/index.db", with: index)
            try WholeFile.remove(path + "/index.db-shm")
            try WholeFile.remove(path + "/index.db-wal")
            if let wal { try WholeFile.replace(path + "/index.db-wal", with: wal) }
            let file = try Descriptor(opening: segment(path), .readWrite)
            try file.truncate(to: try file.size() - 6000)

            let log = LogLines()
            let again = try TestStore(path, log: log)
            #expect(log.contains("took in 1 shards"))
            #expect(again.has(first))
            #expect(again.has(second))
            #expect(again.failure(third) == .notFound)
            try again.put(third)
            #expect(again.has(third))
            again.store.close()
        }
    }

    @Test func forgedHeaderInsideAShardIsNeverTakenForOne() throws {
        try withScratch { path in
            let victim = try TestShard(1)
            let owner = try Samples.key(50).publicKey.nodeID
            // A shard that holds, where a scan could look, a header of the victim's shard made
            // with a guessed salt.
            let forged = victim.bytes.withUnsafeBytes {
                SegmentRecord(shard: victim.id, owner: owner, root: victim.root, hashing: $0)
            }.encoded(salt: 0)
            var carrier = try TestShard(2, count: 64 << 10).bytes
            let header = SegmentRecord.headerBytes(length: carrier.count)
            carrier.replaceSubrange((4096 - header)..<(4096 - header + forged.count), with: forged)
            let record = carrier.withUnsafeBytes {
                PreparedShard(
                    shard: (try? Samples.shard(9)) ?? victim.id,
                    owner: owner,
                    hashing: $0
                )
            }
            let store = try TestStore(path)
            let done = Pending<Void>()
            store.store.put(record, bytes: carrier, range: carrier.indices) { done.fulfil($0) }
            try done.wait(for: .seconds(60))
            store.store.close()
            // The carrier's own header rots, and the index is lost.
            let file = try Descriptor(opening: segment(path), .readWrite)
            try file.write(at: UInt64(SegmentRecord.alignment), [0, 0, 0, 0])
            try WholeFile.remove(path + "/index.db")
            let again = try TestStore(path)
            defer { again.store.close() }
            #expect(again.failure(victim) == .notFound)
            #expect(again.store.status.shardCount == 0)
        }
    }

    @Test func segmentOfAnotherNodeIsRefused() throws {
        try withFilledStore { path, _, _ in
            let error = #expect(throws: NodeError.self) {
                try ShardStore(
                    opening: path,
                    node: try Samples.key(2).publicKey.nodeID,
                    capacityBytes: 1 << 30,
                    logger: LogLines().logger
                )
            }
            #expect(error?.description.contains("belongs to node") == true)
            #expect(error?.code == .wrongKey)
        }
    }

    @Test func emptiedSegmentsGoAway() throws {
        try withScratch { path in
            let store = try TestStore(path, capacity: 1 << 40)
            // Fills the first segment and begins the second.
            let count =
                SegmentFilesLimit.segmentBytes / SegmentRecord.footprint(length: 4 << 20) + 1
            let shard = try TestShard(1, count: 4 << 20)
            var ids: [TestShard] = []
            for number in 0..<count {
                let one = try TestShard(renaming: shard, to: UInt64(number))
                try store.put(one)
                ids.append(one)
            }
            #expect(WholeFile.exists(segment(path, 2)))
            try store.delete(ids)
            #expect(eventually { !WholeFile.exists(segment(path, 1)) })
            #expect(store.store.status.usedBytes == 0)
            store.store.close()
            let again = try TestStore(path)
            try again.put(shard)
            #expect(again.has(shard))
            again.store.close()
        }
    }

    /// A child process stores shards until it is killed in the middle of it; everything it was
    /// told to be stored must be there.
    @Test(arguments: [20, 200])
    func killedProcessLosesNothingAcknowledged(after count: Int) async throws {
        let path = "/tmp/mefs-node-kill-\(getpid())-\(count)"
        try Directory.make(path)
        defer { try? Directory.remove(tree: path) }
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, count = count as Int] in
            let store = try TestStore(path)
            let acknowledged = try Descriptor(
                opening: path + "/acknowledged",
                .writeOnly,
                [.create, .append]
            )
            let left = Atomic<Int>(count)
            // Sixteen under way at any time, deletions among them.
            let slots = (0..<16).map { slot in
                try? Disk.Thread.spawn("put") {
                    for number in 0... {
                        let seed = UInt64(slot) << 32 | UInt64(number)
                        guard let shard = try? TestShard(seed, count: 4096),
                            (try? store.put(shard)) != nil
                        else { return }
                        if number % 5 == 4 { try? store.delete([shard]) }
                        let line = "\(number % 5 == 4 ? "-" : "+")\(seed)\n"
                        try? acknowledged.append(Array(line.utf8))
                        if left.subtract(1, ordering: .relaxed).newValue == 0 {
                            kill(getpid(), SIGKILL)
                        }
                    }
                }
            }
            for slot in slots { slot?.join() }
        }
        let lines = String(
            decoding: try WholeFile.read(path + "/acknowledged"),
            as: UTF8.self
        ).split(separator: "\n")
        #expect(lines.count >= count)
        let store = try TestStore(path)
        defer { store.store.close() }
        for line in lines {
            let shard = try TestShard(try #require(UInt64(line.dropFirst())), count: 4096)
            if line.hasPrefix("+") {
                #expect(store.has(shard))
            } else {
                #expect(store.failure(shard) == .notFound)
            }
        }
    }
}

/// What the tests know of the size of a segment.
enum SegmentFilesLimit {
    static let segmentBytes = 256 << 20
}
