import Proofs
import Testing

struct VerdictTests {
    @Test func worseVerdictsCompareAsGreater() {
        #expect(Verdict.allCases == [.ok, .slow, .unreachable, .corrupt, .missing, .forged])
        #expect(Verdict.allCases == Verdict.allCases.sorted())
        #expect(Verdict.allCases.filter(\.isAccusation) == [.corrupt, .missing, .forged])
        #expect(Verdict.allCases.filter(\.isProof) == [.ok, .slow])
    }

    @Test(arguments: Verdict.allCases) func nameIsReadBack(verdict: Verdict) {
        #expect(Verdict(name: verdict.name) == verdict)
        #expect(Verdict(name: verdict.name + "x") == nil)
    }
}
