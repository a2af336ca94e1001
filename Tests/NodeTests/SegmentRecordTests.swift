import Node
import Primitives
import Sealing
import Testing
import Wire

@Suite struct SegmentRecordTests {
    private func record(
        _ count: Int,
        _ version: SegmentRecord.Version = .current
    ) throws -> SegmentRecord {
        var random = SeededGenerator(seed: 5)
        let bytes = random.bytes(count)
        return try bytes.withUnsafeBytes { bytes in
            SegmentRecord(
                version: version,
                shard: try Samples.shard(1),
                owner: try Samples.key(2).publicKey.nodeID,
                root: MerkleTree.root(of: bytes),
                hashing: bytes
            )
        }
    }

    private func prepared(_ count: Int) throws -> PreparedShard {
        var random = SeededGenerator(seed: 5)
        let bytes = random.bytes(count)
        return try bytes.withUnsafeBytes { bytes in
            PreparedShard(
                shard: try Samples.shard(1),
                owner: try Samples.key(2).publicKey.nodeID,
                hashing: bytes
            )
        }
    }

    @Test func headersAreThoseOfTheirVersions() throws {
        try Golden.expect(
            try record(40 << 10, .plain).encoded(salt: 7),
            "store/record-40k",
            "header of a 40 KiB shard (SplitMix64, seed 5), salt 7: three chunks"
        )
        let shard = try prepared(40 << 10)
        #expect(shard.record == (try record(40 << 10)))
        try Golden.expect(
            shard.record.encoded(salt: 7),
            "store/record-2-40k",
            "version 2: header of a 40 KiB shard (SplitMix64, seed 5), salt 7: three chunks"
        )
        try Golden.expect(
            shard.trailer.encoded(of: shard.record, salt: 7),
            "store/trailer-40k",
            "trailer of the record in record-2-40k, salt 7"
        )
        let header = SegmentHeader(
            number: 3,
            node: try Samples.key(1).publicKey.nodeID,
            salt: 0x0102_0304_0506_0708
        )
        try Golden.expect(
            header.encoded,
            "store/segment-header",
            "header of segment 3 of the node with seed 01.."
        )
        #expect(try SegmentHeader(decoding: header.encoded) == header)
    }

    @Test func trailerHoldsTheRootsOfTheChunks() throws {
        let shard = try prepared(40 << 10)
        #expect(MerkleTree.root(ofChunks: shard.trailer.chunkRoots) == shard.root)
        #expect(shard.trailer.chunkRoots.count == 3 * 32)
        let bytes = shard.trailer.encoded(of: shard.record, salt: 9)
        #expect(bytes.count == shard.record.trailerBytes)
        let again = try RecordTrailer(decoding: bytes, of: shard.record, salt: 9)
        #expect(again == shard.trailer)
    }

    @Test func damagedTrailerIsRefused() throws {
        let shard = try prepared(40 << 10)
        let bytes = shard.trailer.encoded(of: shard.record, salt: 9)
        for count in bytes.indices {
            #expect(throws: DecodeError.self) {
                try RecordTrailer(
                    decoding: Array(bytes.prefix(count)),
                    of: shard.record,
                    salt: 9
                )
            }
        }
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: DecodeError.self) {
                try RecordTrailer(decoding: changed, of: shard.record, salt: 9)
            }
        }
        #expect(throws: DecodeError.self) {
            try RecordTrailer(decoding: bytes + [0], of: shard.record, salt: 9)
        }
        #expect(throws: DecodeError.self) {
            try RecordTrailer(decoding: bytes, of: shard.record, salt: 8)
        }
    }

    @Test(
        arguments: [1024, 16 << 10, 17 << 10, 4 << 20],
        SegmentRecord.Version.allCases
    )
    func headerComesBack(count: Int, version: SegmentRecord.Version) throws {
        let record = try record(count, version)
        let bytes = record.encoded(salt: 9)
        #expect(bytes.count == record.headerBytes)
        #expect(try SegmentRecord(decoding: bytes, salt: 9) == record)
        #expect(try SegmentRecord(decoding: bytes + [1, 2], salt: 9) == record)
        #expect(record.footprint.isMultiple(of: SegmentRecord.alignment))
        let bytesInAll = record.headerBytes + count + record.trailerBytes
        #expect(record.footprint >= bytesInAll)
        #expect(record.footprint < bytesInAll + SegmentRecord.alignment)
    }

    @Test func headerOfAnotherSegmentIsRefused() throws {
        let bytes = try record(1024).encoded(salt: 9)
        #expect(throws: DecodeError.corrupt("shard record header")) {
            try SegmentRecord(decoding: bytes, salt: 8)
        }
    }

    @Test func everyTruncationAndFlipIsRefused() throws {
        let bytes = try record(40 << 10).encoded(salt: 1)
        for count in bytes.indices {
            #expect(throws: DecodeError.self) {
                try SegmentRecord(decoding: Array(bytes.prefix(count)), salt: 1)
            }
        }
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: DecodeError.self) { try SegmentRecord(decoding: changed, salt: 1) }
        }
        let header = SegmentHeader(
            number: 3,
            node: try Samples.key(1).publicKey.nodeID,
            salt: 4
        ).encoded
        for bit in 0..<header.count * 8 {
            var changed = header
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: DecodeError.self) { try SegmentHeader(decoding: changed) }
        }
    }
}
