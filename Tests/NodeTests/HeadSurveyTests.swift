import Network
import Primitives
import Sealing
import Testing
import Wire
import Transport

/// What is made of keepers' answers, without any keeper.
@Suite struct HeadSurveyTests {
    /// Keepers 0, 1, 2, … answer so.
    private func survey(
        _ heads: [VolumeHead?],
        failures: Int = 0,
        terms: [UInt64] = [],
        atLeast: UInt64? = nil
    ) throws -> HeadSurvey {
        var answers: [HeadSurvey.Answer] = []
        for (index, head) in heads.enumerated() {
            let term = index < terms.count ? terms[index] : head?.term ?? 0
            answers.append(
                HeadSurvey.Answer(try keeper(index), .success(HeadList(head: head, term: term)))
            )
        }
        for index in heads.count..<heads.count + failures {
            answers.append(
                HeadSurvey.Answer(try keeper(index), .failure(NetworkError(.timedOut, "silent")))
            )
        }
        return HeadSurvey(
            of: try Samples.volumeID(),
            owner: try Samples.owner(),
            answers: answers,
            atLeast: atLeast
        )
    }

    private func keeper(_ index: Int) throws -> NodeID {
        try Samples.key(UInt8(100 + index)).publicKey.nodeID
    }

    @Test func keepersThatAgreeAreCurrent() throws {
        let head = try Samples.head(3)
        let survey = try survey([head, head, head], atLeast: 3)
        #expect(survey.newest == head)
        #expect(survey.findings.map(\.finding) == [.current, .current, .current])
        #expect(try survey.findings.map(\.keeper) == (0..<3).map(keeper))
        #expect(survey.isUnanimous)
        #expect(!survey.isRolledBack)
        #expect(survey.current == 3)
    }

    @Test(arguments: 0..<3)
    func oneKeeperOfThreeThatServesAnOldHeadIsNamed(liar: Int) throws {
        let old = try Samples.head(3)
        let new = try Samples.head(5)
        var heads = [VolumeHead?](repeating: new, count: 3)
        heads[liar] = old
        let survey = try survey(heads)
        #expect(survey.newest == new)
        #expect(survey.findings[liar].finding == .behind(3))
        #expect(survey.current == 2)
        #expect(!survey.isUnanimous)
        #expect(!survey.isRolledBack)
    }

    @Test(arguments: [false, true])
    func ofTwoThatDisagreeTheNewerWins(isFirst: Bool) throws {
        let old = try Samples.head(3)
        let new = try Samples.head(4, after: old)
        let survey = try survey(isFirst ? [new, old] : [old, new])
        #expect(survey.newest == new)
        #expect(
            survey.findings.map(\.finding)
                == (isFirst ? [.current, .behind(3)] : [.behind(3), .current])
        )
    }

    @Test func aRollbackByTheOnlyKeeperIsFlaggedByWhatThisMachineSaw() throws {
        let old = try Samples.head(3)
        #expect(try !survey([old]).isRolledBack)
        #expect(try !survey([old], atLeast: 3).isRolledBack)
        let survey = try survey([old], atLeast: 4)
        #expect(survey.isRolledBack)
        #expect(survey.newest == old)
        #expect(survey.findings[0].finding == .rolledBack(3))
    }

    @Test func aKeeperThatForgotAllIsFlaggedToo() throws {
        #expect(try survey([nil], atLeast: 1).isRolledBack)
        #expect(try survey([nil], atLeast: 1).findings[0].finding == .missing)
        #expect(try !survey([nil]).isRolledBack)
    }

    @Test func silenceIsNoRollback() throws {
        let survey = try survey([], failures: 2, atLeast: 7)
        #expect(!survey.isRolledBack)
        #expect(survey.newest == nil)
        #expect(
            survey.findings.allSatisfy {
                $0.finding == .unreachable(NetworkError(.timedOut, "silent"))
            }
        )
    }

    @Test func twoHeadsOfOneVersionAreAFork() throws {
        let one = try Samples.head(4)
        let other = try Samples.head(4, body: [])
        let survey = try survey([other, one, one])
        #expect(survey.newest == one)
        #expect(survey.findings[0].finding == .forked(4))
        // All who ask choose the same one of two.
        #expect(
            try self.survey([one, other]).newest == self.survey([other, one]).newest
        )
    }

    @Test func aHeadThatTheNewestDoesNotFollowIsAFork() throws {
        let other = try Samples.head(4, body: [])
        let new = try Samples.head(5, after: try Samples.head(4))
        #expect(try survey([new, other]).findings[1].finding == .forked(4))
    }

    @Test func aNewerTermBeatsAHigherVersion() throws {
        // Published to one keeper alone, by a writer that had lost the volume.
        let late = try Samples.head(9, term: 1)
        let new = try Samples.head(8, term: 2)
        let survey = try survey([late, new, new])
        #expect(survey.newest == new)
        #expect(survey.findings[0].finding == .forked(9))
        #expect(survey.term == 2)
    }

    @Test func whatTheOwnerDidNotSignCountsForNothing() throws {
        let mine = try Samples.head(3)
        let stranger = try Samples.head(9, owner: 8)
        let elsewhere = try Samples.head(9, volume: 6)
        var bytes = try Samples.head(9).encoded
        bytes[bytes.count - 70] ^= 1
        let changed = try VolumeHead(decoding: bytes)
        let survey = try survey([mine, stranger, elsewhere, changed])
        #expect(survey.newest == mine)
        #expect(survey.findings.map(\.finding) == [.current, .invalid, .invalid, .invalid])
    }

    @Test func aSurveyIsFencedOnceMostKeepersHaveANewerTerm() throws {
        let head = try Samples.head(3)
        #expect(try survey([head, head], failures: 1, terms: [4, 4]).isFenced(before: 4))
        #expect(try survey([head, head, head], terms: [4, 9, 0]).isFenced(before: 4))
        #expect(try !survey([head, head, head], terms: [4, 3, 0]).isFenced(before: 4))
        #expect(try !survey([head], failures: 1, terms: [4]).isFenced(before: 4))
    }

    /// A head that a writer of term 1 sent is on its way to keeper 2 while a writer of term 2 has
    /// the promises of keepers 0 and 1.
    @Test func aSurveyThatIsNotFencedMayMissAHead() throws {
        let late = try Samples.head(term: 1)
        #expect(late.refusal(after: nil, newestTerm: 2)?.code == .superseded)
        // Keeper 0 had it before it promised; keeper 2 takes it later, and then most have it.
        #expect(late.refusal(after: nil, newestTerm: 1) == nil)
        let withoutKeeper0 = try survey([nil, nil], failures: 1, terms: [2, 1])
        #expect(withoutKeeper0.newest == nil)
        #expect(!withoutKeeper0.isFenced(before: 2))
        let withKeeper0 = try survey([late, nil], failures: 1, terms: [2, 2])
        #expect(withKeeper0.newest == late)
        #expect(withKeeper0.isFenced(before: 2))
    }
}
