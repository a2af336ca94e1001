import Network
import Primitives
import Testing
import Wire
import Transport

@Suite struct VolumeHeadTests {
    @Test func signatureCoversEveryField() throws {
        let head = try Samples.head(2, term: 3, after: try Samples.head())
        #expect(head.isSignatureValid)
        for index in head.encoded.indices {
            var bytes = head.encoded
            bytes[index] ^= 1
            if let changed = try? VolumeHead(decoding: bytes) {
                #expect(!changed.isSignatureValid, "byte \(index)")
                #expect(changed.digest != head.digest)
            }
        }
    }

    @Test func longestHeadFitsAKeepersFrame() throws {
        let head = try Samples.head(
            body: Array(repeating: 1, count: VolumeHead.bodyBytesMax)
        )
        #expect(try VolumeHead(decoding: head.encoded) == head)
        #expect(head.encoded.count < 1 << 20)
    }

    @Test func headOfVersion0IsRefused() throws {
        var bytes = try Samples.head().encoded
        bytes[VolumeID.byteCount + 32] = 0
        #expect(throws: DecodeError.self) { try VolumeHead(decoding: bytes) }
    }

    @Test func anyFirstHeadIsTaken() throws {
        #expect(try Samples.head().refusal(after: nil, newestTerm: 0) == nil)
        #expect(try Samples.head(9).refusal(after: nil, newestTerm: 0) == nil)
    }

    @Test func theNextHeadMustFollow() throws {
        let first = try Samples.head()
        let next = try Samples.head(2, after: first)
        #expect(next.refusal(after: first, newestTerm: 0) == nil)
        let other = try Samples.head(1, body: [1])
        #expect(next.refusal(after: other, newestTerm: 0)?.code == .conflict)
        #expect(next.isForked(from: other))
        #expect(!next.isForked(from: first))
    }

    @Test func versionsMayBeMissing() throws {
        let first = try Samples.head()
        let third = try Samples.head(3, after: try Samples.head(2, after: first))
        #expect(third.refusal(after: first, newestTerm: 0) == nil)
        #expect(!third.isForked(from: first))
    }

    @Test func theSameHeadAgainIsTaken() throws {
        let head = try Samples.head(2, term: 1)
        #expect(head.refusal(after: head, newestTerm: 0) == nil)
        // Also when it was stored before a newer lease was granted.
        #expect(head.refusal(after: head, newestTerm: 5) == nil)
    }

    @Test func anOlderHeadIsRefusedNamingBoth() throws {
        let refusal = try Samples.head(4).refusal(after: try Samples.head(6), newestTerm: 0)
        #expect(refusal?.code == .conflict)
        #expect(refusal?.message.contains("head 4 ") == true)
        #expect(refusal?.message.contains("head 6,") == true)
    }

    @Test func theFirstOfTwoHeadsOfOneVersionIsKept() throws {
        let first = try Samples.head(4)
        let other = try Samples.head(4, body: [])
        #expect(other.refusal(after: first, newestTerm: 0)?.code == .conflict)
        #expect(other.isForked(from: first))
    }

    /// A keeper that alone had heads of a writer which then lost the volume must go on with the
    /// next writer, who does not know of them.
    @Test func aNewerTermIsTakenWhateverItsVersion() throws {
        let stranded = try Samples.head(4, term: 2)
        for version: UInt64 in [3, 4, 5] {
            let next = try Samples.head(version, term: 3, body: [])
            #expect(next.refusal(after: stranded, newestTerm: 3) == nil)
            #expect(stranded.refusal(after: next, newestTerm: 3)?.code == .superseded)
        }
    }

    @Test func aHeadOfAnOlderTermIsRefused() throws {
        let stored = try Samples.head(4, term: 2)
        #expect(
            try Samples.head(5, term: 3).refusal(after: nil, newestTerm: 4)?.code == .superseded
        )
        #expect(
            try Samples.head(6, term: 1).refusal(after: stored, newestTerm: 0)?.code == .superseded
        )
        #expect(try Samples.head(6, term: 2).refusal(after: stored, newestTerm: 2) == nil)
        #expect(try Samples.head(6).refusal(after: nil, newestTerm: 1)?.code == .superseded)
    }
}
