import Primitives

/// Finding the moment whose state a volume shows.
extension Model.State {
    /// Gives placeholders the numbers of the inodes that were made before a crash cut off the
    /// answer.
    mutating func bindPlaceholders(in found: FoundTree) {
        for placeholder in nodes.keys.sorted() where placeholder.isPlaceholder {
            for (parent, node) in nodes.sorted(by: { $0.key < $1.key }) {
                let names = node.state?.children.filter { $0.value == placeholder } ?? [:]
                for name in names.keys {
                    guard let ino = found.nodes[parent]?.children[name], nodes[ino] == nil else {
                        continue
                    }
                    rename(placeholder, to: ino, parent: parent)
                }
            }
        }
    }

    /// The earliest moment, not before `floor`, whose state `found` is.
    ///
    /// Of operations that were under way at that moment each may be done or not.
    func findCut(_ found: FoundTree, from floor: Int) throws(TrialFailure) -> Int {
        if let stranger = found.nodes.keys.sorted().first(where: { nodes[$0] == nil }) {
            throw TrialFailure("inode \(stranger.rawValue) was never made")
        }
        var matcher = CutMatcher(state: self, found: found)
        var best: (mismatches: [String], tick: Int)?
        for tick in floor...max(floor, self.tick) {
            for done in choices(at: tick) {
                let mismatches = matcher.mismatches(at: tick, with: done, limit: 4)
                if mismatches.isEmpty { return tick }
                if mismatches.count <= best?.mismatches.count ?? .max { best = (mismatches, tick) }
            }
        }
        let what = best?.mismatches.joined(separator: "; ") ?? ""
        throw TrialFailure(
            "no moment from \(floor) to \(self.tick) explains the tree; nearest"
                + " \(best?.tick ?? 0): \(what)"
        )
    }

    /// Every subset of the operations under way at `tick`.
    private func choices(at tick: Int) -> [Set<Int>] {
        let running = operations.values
            .filter { $0.started <= tick && !($0.ended.map { $0 <= tick } ?? false) }
            .map(\.number).sorted()
        return running.reduce([[]]) { sets, number in sets + sets.map { $0.union([number]) } }
    }

    /// Goes on from what was found after a crash, all of whose names are durable now.
    mutating func restart(
        from found: FoundTree,
        _ contents: [InodeNumber: [UInt8]],
        isLasting: Bool
    ) {
        var fresh: [InodeNumber: Model.Node] = [:]
        for (ino, node) in found.nodes {
            var content = nodes[ino]?.content ?? ContentHistory()
            if let bytes = contents[ino] { content.recover(bytes, isLasting: isLasting) }
            fresh[ino] = Model.Node(
                versions: [Model.Version(state: node, operation: 0)],
                content: content
            )
        }
        nodes = fresh
        operations = [:]
        busy = []
        areNamesBusy = false
        tick += 1
        floor = tick
    }
}

/// Compares a found tree with the states of a model at many moments.
struct CutMatcher {
    private struct Key: Hashable {
        let ino: InodeNumber
        let version: Int
        let isPartial: Bool
    }

    let state: Model.State
    let found: FoundTree
    private let inodes: [InodeNumber]
    private var known: [Key: Bool] = [:]

    init(state: Model.State, found: FoundTree) {
        self.state = state
        self.found = found
        inodes = state.nodes.keys.sorted()
    }

    /// Where the tree is not that of `tick` with the operations `done` on top, `limit` at most.
    mutating func mismatches(at tick: Int, with done: Set<Int>, limit: Int) -> [String] {
        var wrong: [String] = []
        for ino in inodes where wrong.count < limit {
            guard let node = state.nodes[ino] else { continue }
            let version = node.versions.lastIndex {
                state.hasEnded($0.operation, by: tick) || done.contains($0.operation)
            }
            let isPartial = version.map { done.contains(node.versions[$0].operation) } ?? false
            let key = Key(ino: ino, version: version ?? -1, isPartial: isPartial)
            if known[key] == nil { known[key] = matches(node, version, ino, isPartial) }
            if known[key] == false {
                wrong.append(describe(ino, version.flatMap { node.versions[$0].state }))
            }
        }
        return wrong
    }

    private func matches(
        _ node: Model.Node,
        _ version: Int?,
        _ ino: InodeNumber,
        _ isPartial: Bool
    ) -> Bool {
        let expected = version.flatMap { node.versions[$0].state }
        guard let expected, expected.linkCount > 0 else { return found.nodes[ino] == nil }
        guard let version, let shown = found.nodes[ino] else { return false }
        if node.isUnseen, admitsUnseen(node, expected, shown) { return true }
        let operation = state.operations[node.versions[version].operation]
        let before = version > 0 ? node.versions[version - 1].state : nil
        return expected.admits(
            shown,
            before: before,
            isLoose: isPartial && operation?.isLoose == true,
            areTimesKnown: operation == nil
                || operation?.ended != nil
                    && !(isPartial && operation?.isLoose == true)
        )
    }

    /// Whether `shown` is the state of a file that was written unseen: as expected but for its
    /// times, and for its size, which is one that it had since its last sync.
    private func admitsUnseen(
        _ node: Model.Node,
        _ expected: NodeState,
        _ shown: NodeState
    ) -> Bool {
        let first = node.versions.lastIndex { state.hasEnded($0.operation, by: node.synced) } ?? 0
        let versions = node.versions[first...]
        let isKnown = versions.contains { $0.state?.size == shown.size }
        guard isKnown || isBetween(versions, shown.size) else { return false }
        var other = expected
        other.size = shown.size
        other.modified = shown.modified
        other.changed = shown.changed
        return other == shown
    }

    /// Whether a write that a crash cut off had come so far.
    private func isBetween(_ versions: ArraySlice<Model.Version>, _ size: UInt64) -> Bool {
        zip(versions, versions.dropFirst()).contains { before, after in
            guard state.operations[after.operation]?.ended == nil,
                let from = before.state?.size, let to = after.state?.size
            else { return false }
            return (min(from, to)...max(from, to)).contains(size)
        }
    }

    private func describe(_ ino: InodeNumber, _ expected: NodeState?) -> String {
        guard let shown = found.nodes[ino] else {
            return "inode \(ino.rawValue) is missing (\(expected.map { "\($0.kind)" } ?? "?"))"
        }
        guard let expected, expected.linkCount > 0 else {
            return "inode \(ino.rawValue) should not be there"
        }
        return "inode \(ino.rawValue) \(expected.differences(to: shown))"
    }
}
