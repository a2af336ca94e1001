import Primitives

/// What an inode should be at some moment: all that `stat`, listings and attributes show, but for
/// its times of access and the space it takes.
struct NodeState: Hashable, Sendable {
    var kind: FileKind
    var mode: UInt16
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    var linkCount: UInt32
    var size: UInt64 = 0
    var modified = Timestamp.epoch
    var changed = Timestamp.epoch
    var target: [UInt8] = []
    var xattrs: [[UInt8]: [UInt8]] = [:]
    var children: [EntryName: InodeNumber] = [:]
    /// Of a directory the one that holds it.
    var parent = InodeNumber(0)

    /// Takes over what only the engine knows: the times.
    mutating func adopt(_ attributes: Attributes) {
        modified = attributes.modified
        changed = attributes.changed
    }

    /// Where the engine says something else than this, times apart; `nil` if nowhere.
    func difference(to attributes: Attributes) -> String? {
        let pairs: [(String, String, String)] = [
            ("kind", "\(kind)", "\(attributes.kind)"),
            ("mode", String(mode, radix: 8), String(attributes.mode, radix: 8)),
            ("owner", "\(uid):\(gid)", "\(attributes.uid):\(attributes.gid)"),
            ("links", "\(linkCount)", "\(attributes.linkCount)"),
            ("size", "\(kind == .directory ? 0 : size)", "\(attributes.sizeToCompare)"),
        ]
        let wrong = pairs.filter { $0.1 != $0.2 }
        guard !wrong.isEmpty else { return nil }
        return wrong.map { "\($0.0) is \($0.2) and should be \($0.1)" }.joined(separator: ", ")
    }

    /// Whether `found` is this state, or, if `isLoose`, one on the way from `before` to this.
    ///
    /// `areTimesKnown`: whether the operation that brought this state has told its times.
    func admits(
        _ found: NodeState,
        before: NodeState?,
        isLoose: Bool,
        areTimesKnown: Bool
    ) -> Bool {
        if found == self { return true }
        guard !areTimesKnown else { return false }
        var other = found
        other.modified = modified
        other.changed = changed
        if isLoose, let before, other.size == before.size { other.size = size }
        return other == self
    }

    /// Where `other` is not this, for a report.
    func differences(to other: NodeState) -> String {
        var all: [String] = []
        func compare<Value: Equatable>(_ what: String, _ path: KeyPath<NodeState, Value>) {
            guard self[keyPath: path] != other[keyPath: path] else { return }
            all.append("\(what) is \(other[keyPath: path]), not \(self[keyPath: path])")
        }
        compare("kind", \.kind)
        compare("mode", \.mode)
        compare("links", \.linkCount)
        compare("size", \.size)
        compare("mtime", \.modified)
        compare("ctime", \.changed)
        compare("target", \.target)
        compare("parent", \.parent)
        if children != other.children {
            let one = Set(children.map { "\($0.key)=\($0.value.rawValue)" })
            let two = Set(other.children.map { "\($0.key)=\($0.value.rawValue)" })
            all.append(
                "names lack \(one.subtracting(two).sorted()), have too many"
                    + " \(two.subtracting(one).sorted())"
            )
        }
        if xattrs != other.xattrs { all.append("extended attributes differ") }
        return all.joined(separator: ", ")
    }
}

extension Attributes {
    /// The size of a directory is nobody's promise.
    fileprivate var sizeToCompare: UInt64 { kind == .directory ? 0 : size }
}
