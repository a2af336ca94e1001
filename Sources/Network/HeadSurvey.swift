package import Primitives
package import Transport

/// What all keepers together say a volume's newest head is, and who of them is behind or lies.
///
/// Pure: it judges answers that were had. The newest head is the one of the newest term, and of
/// those the one of the highest version: a head of an older term than another is of a writer that
/// had lost the volume already, and never reached more than half of the keepers afterwards.
package struct HeadSurvey: Sendable {
    /// What one keeper answered.
    package struct Answer: Sendable {
        package let keeper: NodeID
        package let outcome: Result<HeadList, NetworkError>

        package init(_ keeper: NodeID, _ outcome: Result<HeadList, NetworkError>) {
            self.keeper = keeper
            self.outcome = outcome
        }
    }

    /// What one keeper's answer shows of it.
    package enum Finding: Hashable, Sendable {
        /// It has the newest head.
        case current
        /// It has an older head, of this version, than another keeper: it was away, or lies.
        case behind(UInt64)
        /// All that is found is older than what this machine has seen, and it has the newest of
        /// that, of this version.
        case rolledBack(UInt64)
        /// It has a head of this version beside the newest one's history, and the owner has signed
        /// both.
        case forked(UInt64)
        /// It has no head of the volume.
        case missing
        /// It gave something that the owner has not signed, or of another volume.
        case invalid
        /// It did not answer, or not with a head.
        case unreachable(NetworkError)
    }

    /// The newest head that the owner has signed; `nil` if no keeper has any.
    package let newest: VolumeHead?
    /// One for each keeper, in the order of the answers.
    package let findings: [(keeper: NodeID, finding: Finding)]
    /// Whether keepers answered, and all they have is older than what this machine has seen.
    package let isRolledBack: Bool
    /// Whether the owner has signed two histories under the term of the newest head, which one
    /// writer never does.
    package let isForked: Bool
    /// The newest term that a keeper knows, of a lease or a head; 0 for none.
    package var term: UInt64 { terms.max() ?? 0 }

    /// The terms that keepers named.
    private let terms: [UInt64]
    private let keepers: Int

    /// Judges `answers` about `owner`'s volume; `atLeast` is the version seen last, if one was.
    package init(
        of volume: VolumeID,
        owner: NodeID,
        answers: [Answer],
        atLeast: UInt64? = nil
    ) {
        let heads = answers.map { Self.head($0, of: volume, owner: owner) }
        let newest = Self.newest(of: heads.compactMap { $0 })
        let isRolledBack =
            answers.contains { (try? $0.outcome.get()) != nil }
            && newest?.version ?? 0 < atLeast ?? 0
        self.newest = newest
        isForked = heads.contains { head in
            guard let head, let newest, head.term == newest.term else { return false }
            return head.isForked(from: newest)
        }
        self.isRolledBack = isRolledBack
        findings = zip(answers, heads).map { answer, head in
            (
                answer.keeper,
                Self.finding(answer, head, newest: newest, isRolledBack: isRolledBack)
            )
        }
        terms = answers.compactMap { try? $0.outcome.get().term }
        keepers = answers.count
    }

    /// Whether more than half of the keepers answered that take no head of a term before `term` any
    /// more.
    ///
    /// Then no head that `newest` does not stand for can come to more than half of them later. Who
    /// got the lease under `term` goes on from such a survey alone.
    package func isFenced(before term: UInt64) -> Bool {
        terms.count { $0 >= term } > keepers / 2
    }

    /// How many keepers answered.
    package var answered: Int {
        findings.count { if case .unreachable = $0.finding { false } else { true } }
    }

    /// Whether more than half of the keepers answered: one of them has any head that as many took.
    package var isByMajority: Bool { answered > findings.count / 2 }

    /// Whether all keepers that answered have the same head.
    package var isUnanimous: Bool {
        findings.allSatisfy { finding in
            switch finding.finding {
            case .current, .unreachable: true
            case .behind, .rolledBack, .forked, .missing, .invalid: false
            }
        }
    }

    /// How many keepers have the newest head.
    package var current: Int { findings.count { $0.finding == .current } }

    /// The head of an answer if it is the owner's, of the volume.
    private static func head(
        _ answer: Answer,
        of volume: VolumeID,
        owner: NodeID
    ) -> VolumeHead? {
        guard let head = try? answer.outcome.get().head, head.volume == volume,
            head.owner == owner, head.isSignatureValid
        else { return nil }
        return head
    }

    /// Of two heads of one term and version, the one that more keepers have; then whatever all who
    /// ask choose alike.
    private static func newest(of heads: [VolumeHead]) -> VolumeHead? {
        var counts: [VolumeHead: Int] = [:]
        for head in heads { counts[head, default: 0] += 1 }
        return counts.max { left, right in
            let (one, other) = (left.key, right.key)
            if (one.term, one.version) != (other.term, other.version) {
                return (one.term, one.version) < (other.term, other.version)
            }
            if left.value != right.value { return left.value < right.value }
            return (one.time, one.digest) < (other.time, other.digest)
        }?.key
    }

    private static func finding(
        _ answer: Answer,
        _ head: VolumeHead?,
        newest: VolumeHead?,
        isRolledBack: Bool
    ) -> Finding {
        switch answer.outcome {
        case .failure(let error): return .unreachable(error)
        case .success(let list) where list.head == nil: return .missing
        case .success: break
        }
        guard let head, let newest else { return .invalid }
        if head == newest { return isRolledBack ? .rolledBack(head.version) : .current }
        // A higher version of an older term is of a writer that had lost the volume.
        let isFork = head.version > newest.version || head.isForked(from: newest)
        return isFork ? .forked(head.version) : .behind(head.version)
    }
}

extension HeadSurvey.Finding: CustomStringConvertible {
    package var description: String {
        switch self {
        case .current: "has the newest head"
        case .behind(let version): "is behind, at version \(version)"
        case .rolledBack(let version): "went back to version \(version)"
        case .forked(let version): "has another head of version \(version)"
        case .missing: "has no head"
        case .invalid: "gave a head that its owner has not signed"
        case .unreachable(let error): "did not answer: \(error)"
        }
    }
}
