import Primitives
import Proofs
import Sealing
import Testing
import Wire

/// A format by name, with a way to read it, so that all go through the same tests.
struct Format: Sendable, CustomTestStringConvertible {
    let name: String
    let what: String
    let bytes: [UInt8]
    /// Decodes and encodes again.
    let roundTrip: @Sendable ([UInt8]) throws -> [UInt8]

    init<M: Message>(_ name: String, _ what: String, _ message: M) {
        self.name = name
        self.what = what
        bytes = message.encoded
        roundTrip = { try M(decoding: $0).encoded }
    }

    var testDescription: String { name }

    static let all: [Format] = (try? make()) ?? []

    private static func make() throws -> [Format] {
        let samples = try Samples()
        let custody = samples.custody
        let change = OrderChange(position: 5, entry: custody.tree[0])
        let beacon = custody.beacons[1]
        return [
            Format(
                "commitment",
                "Commitment of five entries, one a tombstone",
                custody.state.commitment
            ),
            Format("order-entry", "OrderEntry of 3 KiB", custody.tree[0]),
            Format("tombstone", "OrderEntry: a tombstone", custody.tree[1]),
            Format("order-change", "OrderChange: an entry at position 5", change),
            Format("order-terms", "OrderTerms, generation 0", custody.terms),
            Format("grant", "Grant to audit and repair for a year", samples.grant),
            Format("order-proposal", "OrderProposal of sequence 2", custody.state.proposal),
            Format("order-state", "OrderState of sequence 2", custody.state),
            Format("beacon-block", "BeaconBlock, the second of a chain", beacon),
            Format("challenge", "Challenge of 8 leaves", samples.proof.challenge),
            Format(
                "proof",
                "Proof over four shards and a tombstone, 8 leaves drawn",
                samples.proof
            ),
            Format("receipt", "Receipt 1, ok", samples.receipts[0]),
            Format("receipt-unreachable", "Receipt 3, no answer", samples.receipts[2]),
        ]
    }
}

struct FormatTests {
    @Test func everyFormatIsHere() {
        #expect(Format.all.count == 13)
    }

    @Test(arguments: Format.all) func bytesAreAsWrittenDown(format: Format) throws {
        #expect(try format.roundTrip(format.bytes) == format.bytes)
        try Golden.expect(format.bytes, "proofs/\(format.name).hex", format.what)
    }

    @Test(arguments: Format.all) func everyTruncationIsRefused(format: Format) {
        for count in 0..<format.bytes.count {
            #expect(throws: DecodeError.self) {
                try format.roundTrip(Array(format.bytes[..<count]))
            }
        }
        #expect(throws: DecodeError.self) { try format.roundTrip(format.bytes + [0]) }
    }

    /// What decodes after a flipped bit is what was flipped: no two encodings mean the same.
    @Test(arguments: Format.all) func everyBitIsReadOrRefused(format: Format) {
        // Leaves are most of a long format; ForgeryTests flips all of their bits.
        let step = format.bytes.count > 1024 ? 13 : 1
        for index in stride(from: 0, to: format.bytes.count, by: step) {
            for bit in 0..<8 {
                var flipped = format.bytes
                flipped[index] ^= 1 << bit
                guard let again = try? format.roundTrip(flipped) else { continue }
                #expect(again == flipped, "byte \(index) bit \(bit)")
            }
        }
    }

    @Test(arguments: Format.all) func noiseNeverTraps(format: Format) {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<300 {
            var bytes = format.bytes
            for _ in 0..<8 {
                bytes[Int(generator.next() % UInt64(bytes.count))] = generator.bytes(1)[0]
            }
            _ = try? format.roundTrip(bytes)
            _ = try? format.roundTrip(generator.bytes(bytes.count))
        }
    }

    @Test func valuesThatNoOrderHasAreRefused() throws {
        let samples = try Samples()
        let shard = samples.custody.tree[0].shard
        let root = samples.custody.tree[0].root
        let zero = Commitment.empty.root
        let entries = [
            OrderEntry(shard: shard, bytes: 1025, root: root),
            OrderEntry(shard: shard, bytes: 4 << 20 + 1024, root: root),
            OrderEntry(shard: shard, bytes: 0, root: root),
        ]
        for entry in entries {
            #expect(throws: DecodeError.self) { try OrderEntry(decoding: entry.encoded) }
        }
        let commitments = [
            Commitment(root: root, totalBytes: 0, count: 0),
            Commitment(root: root, totalBytes: 1024, count: 0),
            Commitment(root: zero, totalBytes: 1023, count: 1),
            Commitment(root: root, totalBytes: 8 << 20, count: 1),
            Commitment(root: root, totalBytes: 0, count: UInt64(OrderTree.entriesMax) + 1),
        ]
        for commitment in commitments {
            #expect(throws: DecodeError.self) { try Commitment(decoding: commitment.encoded) }
        }
        for leaves: UInt32 in [0, UInt32(Challenge.leavesMax) + 1, .max] {
            var custody = samples.custody
            let challenge = try custody.challenge(leaves: leaves)
            #expect(throws: DecodeError.self) { try Challenge(decoding: challenge.encoded) }
        }
    }
}
