import Primitives
import Proofs
import Sealing
import Testing
import Wire

struct BeaconTests {
    private let keeper: SigningKey
    private let first: BeaconBlock

    init() throws {
        keeper = try SigningKey(seed: [UInt8](repeating: 4, count: 32))
        first = try BeaconBlock.next(
            after: nil,
            epoch: Epoch(10),
            epochSeconds: 60,
            signedBy: keeper
        )
    }

    private func next(
        after block: BeaconBlock?,
        epoch: UInt64,
        seconds: UInt32 = 60,
        by key: SigningKey? = nil
    ) throws -> BeaconBlock {
        try BeaconBlock.next(
            after: block,
            epoch: Epoch(epoch),
            epochSeconds: seconds,
            signedBy: key ?? keeper
        )
    }

    @Test func chainGoesOnOverEpochsWithoutABlock() throws {
        let second = try next(after: first, epoch: 11)
        let third = try next(after: second, epoch: 19)
        #expect(first.isSignatureValid)
        #expect(second.follows(first) && third.follows(second))
        #expect(!third.follows(first) && !first.follows(second) && !second.follows(second))
        #expect(Set([first.value, second.value, third.value]).count == 3)
    }

    @Test func oneEpochAfterOneHistoryHasOneValue() throws {
        let second = try next(after: first, epoch: 12)
        #expect(try next(after: first, epoch: 12) == second)
        let between = try next(after: first, epoch: 11)
        #expect(try next(after: between, epoch: 12).value != second.value)
    }

    @Test func blocksOfAnotherChainAreRefused() throws {
        let stranger = try SigningKey(seed: [UInt8](repeating: 5, count: 32))
        #expect(throws: ProofError.self) { try next(after: first, epoch: 10) }
        #expect(throws: ProofError.self) { try next(after: first, epoch: 9) }
        #expect(throws: ProofError.self) { try next(after: first, epoch: 11, seconds: 61) }
        #expect(throws: ProofError.self) { try next(after: first, epoch: 11, seconds: 0) }
        #expect(throws: ProofError.self) { try next(after: first, epoch: 11, by: stranger) }
    }

    @Test func everyFlippedBitBreaksTheChain() throws {
        let second = try next(after: first, epoch: 11)
        let bytes = second.encoded
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            guard let block = try? BeaconBlock(decoding: flipped) else { continue }
            #expect(!block.isSignatureValid && !block.follows(first), "bit \(bit)")
        }
    }

    @Test func epochIsWholeSpansSince1970() {
        func epoch(_ seconds: Int64, _ span: UInt32) -> UInt64 {
            BeaconBlock.epoch(at: Timestamp(seconds: seconds, nanoseconds: 999), seconds: span)
                .rawValue
        }
        #expect(epoch(0, 3600) == 0)
        #expect(epoch(3599, 3600) == 0)
        #expect(epoch(3600, 3600) == 1)
        #expect(epoch(1_800_000_000, 3600) == 500_000)
        #expect(epoch(-5, 3600) == 0)
        #expect(epoch(77, 1) == 77)
    }
}
