import Disk
import Primitives

/// The reference: what the volume should be, with every state it went through since the last
/// recovery.
///
/// Clients take the inodes they change (`begin`), so that the order of changes of one inode is
/// known; changes of names exclude each other. Reads and syncs exclude nothing.
final class Model: Sendable {
    /// An operation of a client.
    struct Operation: Sendable {
        let number: Int
        let text: String
        let started: Int
        /// `nil` while it runs, and for ever if a crash or an error ended it.
        var ended: Int?
        /// When it ended, by the monotonic clock.
        var endedAt: Duration = .zero
        /// Whether it consists of several steps, between which a crash may fall.
        let isLoose: Bool
    }

    /// A state of an inode, and the operation that brought it; `nil` if it does not exist.
    struct Version: Sendable {
        var state: NodeState?
        /// 0: it was so at the beginning.
        let operation: Int
    }

    struct Node: Sendable {
        var versions: [Version]
        var opens = 0
        var content = ContentHistory()
        /// Whether a program could write to its cache file by itself, so that its size and times
        /// came to the metadata out of order.
        var isUnseen = false
        /// A sync of it that began at this tick has succeeded.
        var synced = 0

        var state: NodeState? { versions.last?.state }
    }

    /// What an operation takes for itself.
    struct Claim: Sendable {
        var names = false
        var inodes: [InodeNumber] = []
    }

    struct State: Sendable {
        var nodes: [InodeNumber: Node] = [:]
        var operations: [Int: Operation] = [:]
        /// Counts beginnings and ends of operations.
        var tick = 0
        var lastOperation = 0
        /// Operations that ended before this tick are durable.
        var floor = 0
        var busy: Set<InodeNumber> = []
        var areNamesBusy = false
        /// Sum of the files' sizes.
        var totalBytes: UInt64 = 0
        var log: [String] = []
    }

    let state: Condition<State>

    /// The last lines kept of what clients did.
    private static let logMax = 600

    init(root: Attributes) {
        var initial = State()
        var node = NodeState(root)
        node.parent = .root
        initial.nodes[.root] = Node(versions: [Version(state: node, operation: 0)])
        state = Condition(initial)
    }

    /// Waits until nobody holds what `claim` names, and takes it.
    func take(_ claim: Claim) {
        state.wait { state -> Void? in
            guard !(claim.names && state.areNamesBusy),
                state.busy.isDisjoint(with: claim.inodes)
            else { return nil }
            if claim.names { state.areNamesBusy = true }
            state.busy.formUnion(claim.inodes)
            return ()
        }
    }

    func give(_ claim: Claim) {
        state.update { state in
            if claim.names { state.areNamesBusy = false }
            state.busy.subtract(claim.inodes)
        }
    }

    func note(_ line: String) {
        state.withLock { $0.note(line, max: Self.logMax) }
    }
}

extension Model.State {
    mutating func note(_ line: String, max: Int) {
        log.append(line)
        if log.count > 2 * max { log.removeFirst(log.count - max) }
    }

    /// Begins an operation that brings `states`.
    mutating func begin(
        _ text: String,
        _ states: [InodeNumber: NodeState?] = [:],
        isLoose: Bool = false
    ) -> Int {
        tick += 1
        lastOperation += 1
        operations[lastOperation] = Model.Operation(
            number: lastOperation,
            text: text,
            started: tick,
            isLoose: isLoose
        )
        for (ino, state) in states.sorted(by: { $0.key < $1.key }) {
            nodes[ino, default: Model.Node(versions: [])].versions.append(
                Model.Version(state: state, operation: lastOperation)
            )
        }
        return lastOperation
    }

    mutating func end(_ number: Int) {
        tick += 1
        operations[number]?.ended = tick
        operations[number]?.endedAt = Clock.monotonic()
    }

    /// Takes back an operation that was refused and so has changed nothing.
    mutating func cancel(_ number: Int, _ inodes: some Sequence<InodeNumber>) {
        for ino in inodes {
            nodes[ino]?.versions.removeAll { $0.operation == number }
            nodes[ino]?.content.withdraw(number)
            if nodes[ino]?.versions.isEmpty == true { nodes[ino] = nil }
        }
        operations[number] = nil
    }

    /// Replaces the state that `number` brought by what it turned out to be.
    mutating func settle(_ number: Int, _ ino: InodeNumber, _ state: NodeState?) {
        guard let index = nodes[ino]?.versions.lastIndex(where: { $0.operation == number }) else {
            return
        }
        nodes[ino]?.versions[index].state = state
    }

    /// The inode made by `number` has this number, not the one in its place.
    mutating func rename(_ placeholder: InodeNumber, to ino: InodeNumber, parent: InodeNumber) {
        nodes[ino] = nodes.removeValue(forKey: placeholder)
        guard let last = nodes[parent]?.versions.indices.last else { return }
        guard var children = nodes[parent]?.versions[last].state?.children else { return }
        for (name, child) in children where child == placeholder { children[name] = ino }
        nodes[parent]?.versions[last].state?.children = children
    }

    /// Whether operation `number` ended before `tick`.
    func hasEnded(_ number: Int, by tick: Int) -> Bool {
        if number == 0 { return true }
        guard let ended = operations[number]?.ended else { return false }
        return ended <= tick
    }

    /// A sync of `ino` that began at `tick` has succeeded.
    mutating func acknowledge(content ino: InodeNumber, since tick: Int) {
        let operations = operations
        let synced = nodes[ino]?.synced ?? 0
        nodes[ino]?.synced = Swift.max(synced, tick)
        nodes[ino]?.content.acknowledge { number in
            number == 0 || (operations[number]?.ended).map { $0 <= tick } ?? false
        }
    }

    /// All that ended before `tick` is durable.
    mutating func acknowledge(metadata tick: Int) { floor = Swift.max(floor, tick) }

    var files: [InodeNumber] { live(.regular) }
    var directories: [InodeNumber] { live(.directory) }
    /// Inodes that have a name; those that are just being made and have no number yet do not count.
    var named: [InodeNumber] {
        nodes.filter { !$0.key.isPlaceholder && ($0.value.state?.linkCount ?? 0) > 0 }
            .keys.sorted()
    }

    private func live(_ kind: FileKind) -> [InodeNumber] {
        named.filter { state($0)?.kind == kind }
    }

    func state(_ ino: InodeNumber) -> NodeState? { nodes[ino]?.state }
}

extension InodeNumber {
    /// Stands for the inode that operation `number` is about to make.
    static func placeholder(_ number: Int) -> InodeNumber {
        InodeNumber(UInt64.max - UInt64(number))
    }

    /// No inode has such a number: the engine's fit 63 bits.
    var isPlaceholder: Bool { rawValue > UInt64(Int64.max) }
}

extension NodeState {
    init(_ attributes: Attributes) {
        self.init(
            kind: attributes.kind,
            mode: attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
            linkCount: attributes.linkCount,
            size: attributes.kind == .directory ? 0 : attributes.size,
            modified: attributes.modified,
            changed: attributes.changed
        )
    }
}
