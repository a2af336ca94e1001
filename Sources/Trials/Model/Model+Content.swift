import Primitives

/// What a read may give.
extension Model.State {
    /// What is wrong with bytes read while changes may have gone on, `nil` if nothing.
    ///
    /// `began`: the tick at which the read began; what had ended by then is certain.
    func whatIsWrong(
        with found: [UInt8],
        at offset: Int,
        count: Int,
        of ino: InodeNumber,
        since began: Int
    ) -> String? {
        guard let node = nodes[ino] else { return "the file should not exist" }
        let last = node.versions.lastIndex { hasEnded($0.operation, by: began) } ?? 0
        let sizes = node.versions[last...].compactMap { $0.state.map { Int($0.size) } }
        let counts = sizes.map { max(0, min(count, $0 - offset)) }
        guard counts.contains(found.count) else {
            return "\(found.count) bytes, expected one of \(counts)"
        }
        guard
            let wrong = node.content.firstWrong(
                in: found,
                at: offset,
                isCertain: { hasEnded($0, by: began) }
            )
        else { return nil }
        return "byte \(wrong) is \(found[wrong - offset]); \(node.content.explain(wrong))"
    }
}
