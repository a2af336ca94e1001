import Disk
import Glibc
import Network
import Node
import Primitives
import Sealing
import Testing
import Transport

@Suite struct ShardStoreTests {
    @Test func shardComesBackWholeAndInParts() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shard = try TestShard(1, count: 100 << 10)
            try store.put(shard)
            #expect(try store.get(shard) == shard.bytes)
            for range in [0..<1, 16_383..<16_385, 5000..<70_000, 102_399..<102_400] {
                #expect(try store.get(shard, range) == Array(shard.bytes[range]))
            }
        }
    }

    @Test func rangeBeyondTheShardIsRefused() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shard = try TestShard(1, count: 1024)
            try store.put(shard)
            let error = #expect(throws: NetworkError.self) { try store.get(shard, 0..<1025) }
            #expect(error?.code == .malformed)
        }
    }

    @Test func smallReadReadsNoMoreThanItsChunks() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shard = try TestShard(1, count: 4 << 20)
            try store.put(shard)
            let query = GetShard(
                owner: store.owner,
                shard: shard.id,
                offset: 1 << 20,
                count: 4096
            )
            #expect(try store.store.find(query).bufferBytes == 16 << 10)
        }
    }

    @Test func largeReadGivesItsRangeWhereverItBegins() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shards = try (1...3).map { try TestShard($0, count: 1 << 20) }
            for shard in shards { try store.put(shard) }
            for shard in shards {
                for range in [0..<1 << 20, 0..<131_072, 1..<300_001, 700_000..<1 << 20] {
                    #expect(try store.get(shard, range) == Array(shard.bytes[range]))
                }
            }
        }
    }

    @Test func shardsPutTogetherAreAllThere() throws {
        try withScratch { path in
            let store = try TestStore(path)
            let shards = try (1...40).map { number in
                try TestShard(UInt64(number), count: number % 8 == 0 ? 4 << 20 : 1024 * number)
            }
            let puts = shards.map { store.startPut($0) }
            for put in puts { try put.wait(for: .seconds(60)) }
            store.store.close()
            let again = try TestStore(path)
            defer { again.store.close() }
            for shard in shards { #expect(try again.get(shard) == shard.bytes) }
        }
    }

    @Test func sameShardMayBePutAgain() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shard = try TestShard(1)
            try store.put(shard)
            let used = store.store.status.usedBytes
            try store.put(shard)
            #expect(store.store.status.usedBytes == used)
            #expect(store.store.status.shardCount == 1)
        }
    }

    @Test func otherBytesUnderTheSameIDAreRefused() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shard = try TestShard(1)
            try store.put(shard)
            var record = [UInt8](shard.bytes)
            record[0] ^= 1
            let done = Pending<Void>()
            let changed = record.withUnsafeBytes { bytes in
                PreparedShard(shard: shard.id, owner: store.owner, hashing: bytes)
            }
            store.store.put(changed, bytes: record, range: record.indices) { done.fulfil($0) }
            let error = #expect(throws: NetworkError.self) { try done.wait(for: .seconds(60)) }
            #expect(error?.code == .exists)
            #expect(store.has(shard))
            let other = try Samples.key(51).publicKey.nodeID
            let stolen = #expect(throws: NetworkError.self) { try store.put(shard, owner: other) }
            #expect(stolen?.code == .exists)
        }
    }

    @Test func onlyTheOwnerReadsAndDeletes() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shard = try TestShard(1)
            try store.put(shard)
            let other = try Samples.key(51).publicKey.nodeID
            let read = #expect(throws: NetworkError.self) { try store.get(shard, owner: other) }
            #expect(read?.code == .unauthorized)
            let removed = #expect(throws: NetworkError.self) {
                try store.delete([shard], owner: other)
            }
            #expect(removed?.code == .unauthorized)
            #expect(store.has(shard))
        }
    }

    @Test func deletionGivesSpaceBackAndMayBeRepeated() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shards = try (0..<8).map { try TestShard(UInt64($0), count: 256 << 10) }
            for shard in shards { try store.put(shard) }
            let before = try allocated(path)
            try store.delete(Array(shards.dropFirst()))
            try store.delete(shards.dropFirst() + [try TestShard(99)])
            #expect(store.failure(shards[1]) == .notFound)
            #expect(store.has(shards[0]))
            #expect(store.store.status.shardCount == 1)
            let footprint = SegmentRecord.footprint(length: 256 << 10)
            #expect(store.store.status.usedBytes == UInt64(footprint))
            #expect(
                eventually { ((try? allocated(path)) ?? .max) + UInt64(6 * footprint) <= before }
            )
        }
    }

    @Test func deletedShardMayComeAgain() throws {
        try withScratch { path in
            let store = try TestStore(path)
            let shard = try TestShard(1)
            try store.put(shard)
            try store.delete([shard])
            try store.put(shard)
            #expect(store.has(shard))
            store.store.close()
            let again = try TestStore(path)
            #expect(again.has(shard))
            again.store.close()
        }
    }

    @Test func putsAboveTheCapacityAreRefused() throws {
        try withScratch { path in
            let footprint = SegmentRecord.footprint(length: 8 << 10)
            let store = try TestStore(path, capacity: UInt64(3 * footprint))
            let shards = try (0..<4).map { try TestShard(UInt64($0)) }
            for shard in shards.prefix(3) { try store.put(shard) }
            let error = #expect(throws: NetworkError.self) { try store.put(shards[3]) }
            #expect(error?.code == .full)
            try store.delete([shards[0]])
            try store.put(shards[3])
            store.store.close()
            let tooSmall = #expect(throws: NodeError.self) {
                try TestStore(path, capacity: UInt64(2 * footprint))
            }
            #expect(tooSmall?.description.contains("at least that capacity") == true)
        }
    }

    @Test func manyPutsAtOnceAreAllKept() throws {
        try withScratch { path in
            let store = try TestStore(path)
            let shards = try (0..<300).map { try TestShard(UInt64($0), count: 4096) }
            let pending = shards.map { store.startPut($0) }
            for put in pending { try put.wait(for: .seconds(60)) }
            #expect(shards.allSatisfy { store.has($0) })
            store.store.close()
            let again = try TestStore(path)
            #expect(shards.allSatisfy { again.has($0) })
            #expect(again.store.status.shardCount == 300)
            again.store.close()
        }
    }

    @Test func shardBroughtAndRemovedInOneBatchLeavesNothing() throws {
        try withScratch { path in
            let store = try TestStore(path)
            defer { store.store.close() }
            let shards = try (0..<40).map { try TestShard(UInt64($0)) }
            let puts = shards.map { store.startPut($0) }
            let done = Pending<Void>()
            store.store.delete(shards.map(\.id), owner: store.owner) { done.fulfil($0) }
            for put in puts { try put.wait(for: .seconds(60)) }
            try done.wait(for: .seconds(60))
            #expect(store.store.status.usedBytes == 0)
            #expect(store.store.status.shardCount == 0)
            #expect(shards.allSatisfy { store.failure($0) == .notFound })
        }
    }

    @Test func closedStoreRefuses() throws {
        try withScratch { path in
            let store = try TestStore(path)
            store.store.close()
            let error = #expect(throws: NetworkError.self) { try store.put(try TestShard(1)) }
            #expect(error?.code == .refused)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "mounting needs the superuser"))
    func fullDiskIsRefusedAndDeletionsStillWork() throws {
        try withScratch { path in
            // The reserve, and a little to fill.
            let size = ShardStore.diskReserveBytes + (4 << 20)
            try #require(mount("tmpfs", path, "tmpfs", 0, "size=\(size)") == 0)
            defer { umount2(path, Int32(MNT_DETACH)) }
            let store = try TestStore(path, capacity: 1 << 40)
            defer { store.store.close() }
            var kept: [TestShard] = []
            var refusal: NetworkError?
            for seed in 0..<40 as Range<UInt64> where refusal == nil {
                let shard = try TestShard(seed, count: 512 << 10)
                do throws(NetworkError) {
                    try store.put(shard)
                    kept.append(shard)
                } catch {
                    refusal = error
                }
            }
            #expect(refusal?.code == .full)
            #expect(refusal?.message.contains("disk is full") == true)
            #expect(kept.count >= 2)
            #expect(kept.allSatisfy { store.has($0) })
            try store.delete(kept)
            try store.put(try TestShard(100, count: 512 << 10))
        }
    }

    private func allocated(_ path: String) throws -> UInt64 {
        try Directory.list(path + "/segments").reduce(0) { sum, name in
            sum + (try Descriptor(opening: "\(path)/segments/\(name)").allocatedBytes())
        }
    }
}
