import Node
import Primitives
import Sealing
import Testing
import Wire

@Suite struct SegmentRecordTests {
    private func record(_ count: Int) throws -> SegmentRecord {
        var random = SeededGenerator(seed: 5)
        let bytes = random.bytes(count)
        return try bytes.withUnsafeBytes { bytes in
            SegmentRecord(
                shard: try Samples.shard(1),
                owner: try Samples.key(2).publicKey.nodeID,
                root: MerkleTree.root(of: bytes),
                hashing: bytes
            )
        }
    }

    @Test func headersAreThoseOfVersion1() throws {
        try Golden.expect(
            try record(40 << 10).encoded(salt: 7),
            "store/record-40k",
            "header of a 40 KiB shard (SplitMix64, seed 5), salt 7: three chunks"
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

    @Test(arguments: [1024, 16 << 10, 17 << 10, 4 << 20])
    func headerComesBack(count: Int) throws {
        let record = try record(count)
        let bytes = record.encoded(salt: 9)
        #expect(bytes.count == record.headerBytes)
        #expect(try SegmentRecord(decoding: bytes, salt: 9) == record)
        #expect(try SegmentRecord(decoding: bytes + [1, 2], salt: 9) == record)
        #expect(record.footprint.isMultiple(of: SegmentRecord.alignment))
        #expect(record.footprint >= record.headerBytes + count)
        #expect(record.footprint < record.headerBytes + count + SegmentRecord.alignment)
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
