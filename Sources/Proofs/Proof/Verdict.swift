/// What became of an audit, the mildest first.
///
/// Where several things are wrong, the worst one counts.
package enum Verdict: UInt8, Hashable, Comparable, CaseIterable, Sendable {
    /// A valid proof in time.
    case ok = 1
    /// A valid proof after the soft deadline.
    case slow
    /// No answer by the hard deadline.
    case unreachable
    /// The provider says that bytes of it rotted.
    case corrupt
    /// The provider says that it has not got it.
    case missing
    /// An answer that does not verify.
    case forged

    /// Whether the provider failed to keep what it signed for, by its own word or by proof.
    package var isAccusation: Bool { self >= .corrupt }

    /// Whether the asked bytes were proved to be there.
    package var isProof: Bool { self <= .slow }

    /// Its name, as people and files see it.
    package var name: String { "\(self)" }

    package init?(name: some StringProtocol) {
        guard let verdict = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = verdict
    }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}
