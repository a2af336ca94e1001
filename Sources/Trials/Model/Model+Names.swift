import Metadata
import Primitives

/// What operations on names should do, by the state of now.
extension Model.State {
    typealias Expectation = Client.Expectation

    func create(
        _ new: NewInode,
        _ name: EntryName,
        in parent: InodeNumber,
        as ino: InodeNumber
    ) -> Expectation {
        guard var directory = state(parent) else { return Expectation(code: .notFound) }
        guard directory.children[name] == nil else { return Expectation(code: .exists) }
        let isDirectory = new.kind == .directory
        directory.children[name] = ino
        if isDirectory { directory.linkCount += 1 }
        let made = NodeState(
            kind: new.kind,
            mode: new.mode,
            uid: new.uid,
            gid: new.gid,
            linkCount: isDirectory ? 2 : 1,
            size: UInt64(new.target.count),
            target: new.target,
            parent: isDirectory ? parent : InodeNumber(0)
        )
        return Expectation(states: [parent: directory, ino: made])
    }

    func link(_ ino: InodeNumber, _ name: EntryName, in parent: InodeNumber) -> Expectation {
        guard var directory = state(parent), var inode = state(ino) else {
            return Expectation(code: .notFound)
        }
        guard directory.children[name] == nil else { return Expectation(code: .exists) }
        directory.children[name] = ino
        inode.linkCount += 1
        return Expectation(states: [parent: directory, ino: inode])
    }

    func remove(
        _ name: EntryName,
        in parent: InodeNumber,
        isDirectory: Bool
    ) -> Expectation {
        guard var directory = state(parent), let ino = directory.children[name],
            var inode = state(ino)
        else { return Expectation(code: .notFound) }
        guard (inode.kind == .directory) == isDirectory else {
            return Expectation(code: isDirectory ? .notDirectory : .isDirectory)
        }
        guard inode.children.isEmpty else { return Expectation(code: .directoryNotEmpty) }
        directory.children[name] = nil
        if isDirectory { directory.linkCount -= 1 }
        inode.linkCount = isDirectory ? 0 : inode.linkCount - 1
        return Expectation(states: [parent: directory, ino: inode])
    }

    func rename(
        _ name: EntryName,
        in parent: InodeNumber,
        to newName: EntryName,
        in newParent: InodeNumber,
        _ mode: RenameMode
    ) -> Expectation {
        guard let directory = state(parent), let newDirectory = state(newParent),
            let source = directory.children[name], let moved = state(source)
        else { return Expectation(code: .notFound) }
        let target = newDirectory.children[newName]
        if mode == .noReplace, target != nil { return Expectation(code: .exists) }
        if mode == .exchange, target == nil { return Expectation(code: .notFound) }
        if source == target { return Expectation() }
        let isBelowSource = moved.kind == .directory && isBelow(newParent, source)
        if isBelowSource { return Expectation(code: .invalid) }
        var states = [parent: directory]
        states[newParent] = newDirectory
        states[source] = moved
        guard let target, let replaced = state(target) else {
            return move(source, name, parent, newName, newParent, states)
        }
        if mode == .exchange {
            let isBelowTarget = replaced.kind == .directory && isBelow(parent, target)
            if isBelowTarget { return Expectation(code: .invalid) }
            states[target] = replaced
            return exchange((source, name, parent), (target, newName, newParent), states)
        }
        let isDirectory = moved.kind == .directory
        guard isDirectory == (replaced.kind == .directory) else {
            return Expectation(code: isDirectory ? .notDirectory : .isDirectory)
        }
        guard replaced.children.isEmpty else { return Expectation(code: .directoryNotEmpty) }
        states[target] = replaced
        states[target]?.linkCount = isDirectory ? 0 : replaced.linkCount - 1
        if isDirectory { states[newParent]?.linkCount -= 1 }
        return move(source, name, parent, newName, newParent, states)
    }

    private func move(
        _ source: InodeNumber,
        _ name: EntryName,
        _ parent: InodeNumber,
        _ newName: EntryName,
        _ newParent: InodeNumber,
        _ before: [InodeNumber: NodeState]
    ) -> Expectation {
        var states = before
        states[parent]?.children[name] = nil
        states[newParent]?.children[newName] = source
        if states[source]?.kind == .directory {
            states[parent]?.linkCount -= 1
            states[newParent]?.linkCount += 1
            states[source]?.parent = newParent
        }
        return Expectation(states: states)
    }

    private typealias End = (ino: InodeNumber, name: EntryName, parent: InodeNumber)

    private func exchange(
        _ one: End,
        _ other: End,
        _ before: [InodeNumber: NodeState]
    ) -> Expectation {
        var states = before
        for (end, new) in [(one, other), (other, one)] {
            states[new.parent]?.children[new.name] = end.ino
            if before[end.ino]?.kind == .directory {
                states[end.parent]?.linkCount -= 1
                states[new.parent]?.linkCount += 1
                states[end.ino]?.parent = new.parent
            }
        }
        return Expectation(states: states)
    }

    private func isBelow(_ ino: InodeNumber, _ ancestor: InodeNumber) -> Bool {
        var current = ino
        while current != ancestor {
            guard current != .root, let parent = state(current)?.parent else { return false }
            current = parent
        }
        return true
    }

    /// `states`, thought up at `before`, with the sizes and times that files have by now.
    func refresh(
        _ states: [InodeNumber: NodeState?],
        after before: Model.State
    ) -> [InodeNumber: NodeState?] {
        var fresh = states
        for (ino, state) in states {
            guard let now = self.state(ino), let then = before.state(ino), now != then,
                var changed = state
            else { continue }
            changed.size = now.size
            changed.mode = now.mode
            changed.xattrs = now.xattrs
            changed.modified = now.modified
            changed.changed = now.changed
            fresh[ino] = changed
        }
        return fresh
    }
}
