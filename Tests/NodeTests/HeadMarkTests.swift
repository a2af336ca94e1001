import Network
import Primitives
import Sealing
import Testing
import Transport

/// Whether a head goes on from the one that was followed.
@Suite struct HeadMarkTests {
    private func survey(_ heads: [VolumeHead?]) throws -> HeadSurvey {
        let answers = try heads.enumerated().map { index, head in
            HeadSurvey.Answer(
                try Samples.key(UInt8(100 + index)).publicKey.nodeID,
                .success(HeadList(head: head, term: head?.term ?? 0))
            )
        }
        return HeadSurvey(of: try Samples.volumeID(), owner: try Samples.owner(), answers: answers)
    }

    @Test func oneWritersHeadsGoOnFromEachOther() throws {
        let first = try Samples.head(4, term: 2)
        let second = try Samples.head(5, term: 2, after: first)
        let late = try Samples.head(9, term: 2)
        let mark = HeadMark(first)
        #expect(mark.judge(try survey([first, first])) == .same)
        #expect(mark.judge(try survey([first, second])) == .newer(second))
        #expect(mark.judge(try survey([late, first, nil])) == .newer(late))
    }

    @Test func aNewerTermCountsWhateverItsVersion() throws {
        let mark = HeadMark(try Samples.head(9, term: 2))
        let other = try Samples.head(8, term: 3)
        #expect(mark.judge(try survey([other])) == .newer(other))
        // The head that was passed over is still at one keeper.
        let passed = try Samples.head(9, term: 2)
        #expect(mark.judge(try survey([passed, other])) == .newer(other))
    }

    @Test func keepersThatWentBackAreRefused() throws {
        let mark = HeadMark(try Samples.head(9, term: 2))
        #expect(mark.judge(try survey([try Samples.head(8, term: 2)])) == .rolledBack)
        #expect(mark.judge(try survey([try Samples.head(10, term: 1)])) == .rolledBack)
        #expect(mark.judge(try survey([nil, nil])) == .rolledBack)
    }

    @Test func twoHistoriesAreRefused() throws {
        let first = try Samples.head(9, term: 2)
        let other = try Samples.head(9, term: 2, body: [1])
        let mark = HeadMark(first)
        #expect(mark.judge(try survey([other])) == .forked)
        #expect(mark.judge(try survey([first, other])) == .forked)
        #expect(mark.judge(try survey([try Samples.head(10, term: 2, after: other)])) == .forked)
        // Also of keepers alone.
        let old = HeadMark(try Samples.head(3, term: 2))
        #expect(old.judge(try survey([first, other])) == .forked)
    }

    @Test func silenceTellsNothing() throws {
        let answer = HeadSurvey.Answer(
            try Samples.key(100).publicKey.nodeID,
            .failure(NetworkError(.timedOut, "silent"))
        )
        let survey = HeadSurvey(
            of: try Samples.volumeID(),
            owner: try Samples.owner(),
            answers: [answer]
        )
        #expect(HeadMark(try Samples.head(9)).judge(survey) == .unknown)
    }

    @Test func theFileComesBackAndDamageDoesNot() throws {
        let mark = HeadMark(try Samples.head(9, term: 2))
        #expect(HeadMark(parsing: mark.text) == mark)
        #expect(mark.text.utf8.count <= HeadMark.textBytesMax)
        for length in 0..<mark.text.count - 1 {
            #expect(HeadMark(parsing: String(mark.text.prefix(length))) != mark)
        }
        for text in ["", "1 2", "-1 2 00", "a b c", mark.text + "x"] {
            #expect(HeadMark(parsing: text) == nil)
        }
    }
}
