/// What a name stands for.
enum DiskNode: Sendable {
    case file(FileNode)
    case directory(DirectoryNode)
}

/// A directory: the names that programs see, those the disk has, and the changes between.
final class DirectoryNode: @unchecked Sendable {
    // SAFETY: touched under the lock of the disk that it is on, only.

    enum Change: Sendable {
        case add(String, DiskNode)
        case remove(String)
        /// Within the directory, at once.
        case move(from: String, to: String)
    }

    struct Entry: Sendable {
        let change: Change
        /// Changes of one call, in two directories, have the same.
        let order: UInt64
        /// Of the removal that is half of a move to another directory: that one.
        let target: DirectoryNode?
    }

    private(set) var names: [String: DiskNode] = [:]
    private(set) var durableNames: [String: DiskNode] = [:]
    private(set) var journal: [Entry] = []

    var sortedNames: [String] { names.keys.sorted() }

    func change(_ change: Change, order: UInt64, target: DirectoryNode? = nil) {
        Self.apply(change, to: &names)
        journal.append(Entry(change: change, order: order, target: target))
    }

    private static func apply(_ change: Change, to names: inout [String: DiskNode]) {
        switch change {
        case .add(let name, let node): names[name] = node
        case .remove(let name): names[name] = nil
        case .move(let from, let to):
            if let node = names.removeValue(forKey: from) { names[to] = node }
        }
    }

    /// Makes the first `count` changes durable, and what moved to another directory there too.
    func commit(_ count: Int) {
        let done = journal.prefix(count)
        journal.removeFirst(done.count)
        for entry in done {
            // A file moved away is in the other directory before it is gone from this one.
            entry.target?.commit(through: entry.order)
            Self.apply(entry.change, to: &durableNames)
        }
    }

    func commit(through order: UInt64) { commit(journal.prefix { $0.order <= order }.count) }

    func sync() { commit(journal.count) }

    /// What is not durable is gone.
    func settle() {
        names = durableNames
        journal = []
    }

    /// What the directory knows of, in names seen, names on the disk, and changes between; each
    /// perhaps several times, in an order that is the same in each run.
    var allNodes: [DiskNode] {
        var nodes = sortedNames.compactMap { names[$0] }
        nodes += durableNames.keys.sorted().compactMap { durableNames[$0] }
        for entry in journal {
            if case .add(_, let node) = entry.change { nodes.append(node) }
        }
        return nodes
    }
}
