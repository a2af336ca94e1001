package import Primitives

/// Which head was followed last: enough to tell whether another one goes on from it.
package struct HeadMark: Hashable, Sendable {
    package let term: UInt64
    package let version: UInt64
    package let digest: Digest

    package init(term: UInt64, version: UInt64, digest: Digest) {
        self.term = term
        self.version = version
        self.digest = digest
    }

    package init(_ head: VolumeHead) {
        self.init(term: head.term, version: head.version, digest: head.digest)
    }

    /// How a newer look at keepers stands to the mark.
    package enum Verdict: Hashable, Sendable {
        /// Its head is still the newest.
        case same
        /// There is one that came after it.
        case newer(VolumeHead)
        /// All that keepers have is older: they were put back, or lie.
        case rolledBack
        /// The owner has signed two histories.
        case forked
        /// No keeper answered.
        case unknown
    }

    /// Judges what keepers said, without asking anybody.
    ///
    /// A head of a newer term counts as newer whatever its version: its writer began with the
    /// newest head that more than half of the keepers had, which may be one before this.
    package func judge(_ survey: HeadSurvey) -> Verdict {
        guard !survey.isForked else { return .forked }
        guard let newest = survey.newest else {
            return survey.hasAnswers ? .rolledBack : .unknown
        }
        if newest.digest == digest { return .same }
        guard (newest.term, newest.version) >= (term, version) else { return .rolledBack }
        guard newest.term == term else { return .newer(newest) }
        // One writer makes one head of each version, each after the one before.
        if newest.version == version { return .forked }
        if newest.version - version == 1, newest.previous != digest { return .forked }
        return .newer(newest)
    }

    // MARK: Kept in a file

    /// A line of the term, the version and the digest.
    package var text: String { "\(term) \(version) \(digest.hex)\n" }

    /// The longest text, in bytes.
    package static let textBytesMax = 128

    /// - Returns: `nil` for what no program of ours writes.
    package init?(parsing text: String) {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 3, let term = UInt64(words[0]), let version = UInt64(words[1]),
            let digest = Digest(hex: String(words[2]))
        else { return nil }
        self.init(term: term, version: version, digest: digest)
    }
}

extension HeadSurvey {
    /// Whether any keeper answered, be it without a head.
    package var hasAnswers: Bool {
        findings.contains { if case .unreachable = $0.finding { false } else { true } }
    }
}
