import Network
import Primitives
import Sealing
import Testing
import Volume

/// How the newest head at the keepers stands to what a machine has made.
struct HeadComparisonTests {
    private let owner: SigningKey
    private let volume: VolumeID

    init() throws {
        owner = try SigningKey(seed: [UInt8](repeating: 9, count: 32))
        volume = try #require(VolumeID(bytes: [UInt8](repeating: 1, count: VolumeID.byteCount)))
    }

    private func head(
        _ version: UInt64,
        term: UInt64 = 1,
        after previous: VolumeHead? = nil,
        body: UInt8 = 0
    ) throws -> VolumeHead {
        try VolumeHead(
            volume: volume,
            version: version,
            time: Timestamp(seconds: 1, nanoseconds: 0),
            term: term,
            previous: previous?.digest ?? .noHead,
            body: [body],
            signedBy: owner
        )
    }

    @Test func aMachineGoesOnFromItsOwnHead() throws {
        let first = try head(1)
        let second = try head(2, after: first)
        #expect(HeadComparison(nil, own: nil, registered: 0) == .same)
        #expect(HeadComparison(second, own: second, registered: 2) == .same)
        // It stopped before keepers had the second, or before it knew that they had it.
        #expect(HeadComparison(first, own: second, registered: 1) == .same)
        #expect(HeadComparison(second, own: second, registered: 1) == .same)
        // Its second was of a term that was over, and its third has reached nobody.
        let third = try head(3, term: 2, after: second)
        #expect(HeadComparison(first, own: third, registered: 1) == .same)
    }

    @Test func anotherMachinesHeadIsNewer() throws {
        let own = try head(3)
        #expect(HeadComparison(try head(4, after: own), own: own, registered: 3) == .newer)
        #expect(HeadComparison(try head(4, term: 2), own: own, registered: 3) == .newer)
        // This machine went on when it had lost the volume.
        #expect(HeadComparison(try head(2, term: 2), own: own, registered: 3) == .newer)
        #expect(HeadComparison(try head(3, body: 1), own: own, registered: 2) == .newer)
        #expect(HeadComparison(own, own: nil, registered: 0) == .newer)
    }

    @Test func keepersThatWentBackAreFoundOut() throws {
        let own = try head(3)
        #expect(HeadComparison(nil, own: own, registered: 3) == .rolledBack(seen: 3))
        #expect(HeadComparison(try head(1), own: own, registered: 3) == .rolledBack(seen: 3))
    }
}
