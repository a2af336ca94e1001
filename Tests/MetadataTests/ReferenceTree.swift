import Metadata
import Primitives

/// What a volume's names and attributes should be: dictionaries, no caches, no disk.
///
/// A value, so that a test can keep every state it went through.
struct ReferenceTree {
    struct Node {
        var attributes: Attributes
        var target: [UInt8] = []
        var xattrs: [[UInt8]: [UInt8]] = [:]
        /// Of a directory, in order of making.
        var children: [EntryName: InodeNumber] = [:]
        var parent = InodeNumber.root
    }

    typealias Code = FileSystemError.Code

    private(set) var nodes: [InodeNumber: Node] = [:]

    init(root: Attributes) {
        nodes[.root] = Node(attributes: root)
    }

    var all: [InodeNumber] { nodes.keys.sorted() }
    var directories: [InodeNumber] { all.filter { nodes[$0]?.attributes.kind == .directory } }
    var orphans: [InodeNumber] { all.filter { nodes[$0]?.attributes.linkCount == 0 } }

    // MARK: Operations: each gives the code of the error that is due, or nil

    /// `ino`: the number that the store has given, if it made the inode.
    mutating func create(
        _ new: NewInode,
        _ name: EntryName,
        in parent: InodeNumber,
        ino: InodeNumber?,
        now: Timestamp
    ) -> Code? {
        if let code = check(parent) { return code }
        if child(name, parent) != nil { return .exists }
        guard let ino, nodes[ino] == nil, let directory = nodes[parent] else { return .corrupt }
        let isDirectory = new.kind == .directory
        let inherits = directory.attributes.mode & 0o2000 != 0
        nodes[ino] = Node(
            attributes: Attributes(
                ino: ino,
                kind: new.kind,
                mode: inherits && isDirectory ? new.mode | 0o2000 : new.mode,
                uid: new.uid,
                gid: inherits ? directory.attributes.gid : new.gid,
                linkCount: isDirectory ? 2 : 1,
                size: UInt64(new.target.count),
                blocks512: 0,
                rdev: new.rdev,
                accessed: now,
                modified: now,
                changed: now
            ),
            target: new.target,
            parent: parent
        )
        add(name, ino, to: parent, now)
        return nil
    }

    mutating func link(
        _ ino: InodeNumber,
        _ name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) -> Code? {
        if let code = check(parent) { return code }
        guard let node = nodes[ino] else { return .notFound }
        if node.attributes.kind == .directory { return .notPermitted }
        if node.attributes.linkCount == 0 { return .notFound }
        if child(name, parent) != nil { return .exists }
        nodes[ino]?.attributes.linkCount += 1
        nodes[ino]?.attributes.changed = now
        add(name, ino, to: parent, now)
        return nil
    }

    mutating func unlink(_ name: EntryName, in parent: InodeNumber, now: Timestamp) -> Code? {
        if let code = check(parent) { return code }
        guard let ino = child(name, parent) else { return .notFound }
        if isDirectory(ino) { return .isDirectory }
        remove(name, from: parent, now)
        dropLink(ino, now)
        return nil
    }

    mutating func removeDirectory(
        _ name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) -> Code? {
        if let code = check(parent) { return code }
        guard let ino = child(name, parent) else { return .notFound }
        if !isDirectory(ino) { return .notDirectory }
        if nodes[ino]?.children.isEmpty == false { return .directoryNotEmpty }
        remove(name, from: parent, now)
        dropLink(ino, now)
        return nil
    }

    mutating func rename(
        _ name: EntryName,
        in parent: InodeNumber,
        to newName: EntryName,
        in newParent: InodeNumber,
        mode: RenameMode,
        now: Timestamp
    ) -> Code? {
        if let code = check(parent) ?? check(newParent) { return code }
        guard let source = child(name, parent) else { return .notFound }
        let target = child(newName, newParent)
        if mode == .noReplace, target != nil { return .exists }
        if mode == .exchange, target == nil { return .notFound }
        if source == target { return nil }
        if isDirectory(source), isBelow(newParent, source) { return .invalid }
        if mode == .exchange, let target {
            if isDirectory(target), isBelow(parent, target) { return .invalid }
            remove(name, from: parent, now)
            remove(newName, from: newParent, now)
            add(name, target, to: parent, now)
            add(newName, source, to: newParent, now)
            nodes[target]?.attributes.changed = now
            nodes[source]?.attributes.changed = now
            return nil
        }
        if let target {
            if isDirectory(source), !isDirectory(target) { return .notDirectory }
            if !isDirectory(source), isDirectory(target) { return .isDirectory }
            if nodes[target]?.children.isEmpty == false { return .directoryNotEmpty }
            remove(newName, from: newParent, now)
            dropLink(target, now)
        }
        remove(name, from: parent, now)
        add(newName, source, to: newParent, now)
        nodes[source]?.attributes.changed = now
        return nil
    }

    mutating func change(
        _ ino: InodeNumber,
        _ change: AttributeChange,
        now: Timestamp
    ) -> Code? {
        guard let kind = nodes[ino]?.attributes.kind else { return .notFound }
        if change.size != nil, kind != .regular {
            return kind == .directory ? .isDirectory : .invalid
        }
        update(ino) { attributes in
            attributes.mode = change.mode ?? attributes.mode
            attributes.uid = change.uid ?? attributes.uid
            attributes.gid = change.gid ?? attributes.gid
            if let size = change.size {
                attributes.size = size
                attributes.modified = now
            }
            attributes.accessed = change.accessed ?? attributes.accessed
            attributes.modified = change.modified ?? attributes.modified
            attributes.changed = change.changed ?? now
        }
        return nil
    }

    mutating func write(_ ino: InodeNumber, growingTo size: UInt64, now: Timestamp) -> Code? {
        guard let kind = nodes[ino]?.attributes.kind else { return .notFound }
        guard kind == .regular else { return .invalid }
        update(ino) { attributes in
            attributes.size = max(attributes.size, size)
            attributes.modified = now
            attributes.changed = now
        }
        return nil
    }

    mutating func setXattr(
        _ ino: InodeNumber,
        _ name: [UInt8],
        _ value: [UInt8]?,
        mode: XattrMode,
        now: Timestamp
    ) -> Code? {
        guard let node = nodes[ino] else { return .notFound }
        let isThere = node.xattrs[name] != nil
        if value == nil || mode == .replace, !isThere { return .noAttribute }
        if value != nil, mode == .create, isThere { return .exists }
        nodes[ino]?.xattrs[name] = value
        update(ino) { $0.changed = now }
        return nil
    }

    mutating func reap(_ ino: InodeNumber) -> Code? {
        guard let node = nodes[ino] else { return .notFound }
        guard node.attributes.linkCount == 0 else { return .invalid }
        nodes[ino] = nil
        return nil
    }

    func lookup(_ name: EntryName, in parent: InodeNumber) -> Result<Attributes, FileSystemError> {
        if let code = check(parent) { return .failure(FileSystemError(code, "")) }
        guard let ino = child(name, parent), let node = nodes[ino] else {
            return .failure(FileSystemError(.notFound, ""))
        }
        return .success(node.attributes)
    }

    // MARK: Parts

    private func check(_ parent: InodeNumber) -> Code? {
        guard let node = nodes[parent] else { return .notFound }
        if node.attributes.kind != .directory { return .notDirectory }
        return node.attributes.linkCount == 0 ? .notFound : nil
    }

    private func child(_ name: EntryName, _ parent: InodeNumber) -> InodeNumber? {
        nodes[parent]?.children[name]
    }

    private func isDirectory(_ ino: InodeNumber) -> Bool {
        nodes[ino]?.attributes.kind == .directory
    }

    private func isBelow(_ ino: InodeNumber, _ ancestor: InodeNumber) -> Bool {
        var current = ino
        while current != ancestor {
            if current == .root { return false }
            current = nodes[current]?.parent ?? .root
        }
        return true
    }

    private mutating func update(_ ino: InodeNumber, _ body: (inout Attributes) -> Void) {
        guard var attributes = nodes[ino]?.attributes else { return }
        body(&attributes)
        nodes[ino]?.attributes = attributes
    }

    private mutating func add(
        _ name: EntryName,
        _ ino: InodeNumber,
        to parent: InodeNumber,
        _ now: Timestamp
    ) {
        nodes[parent]?.children[name] = ino
        if isDirectory(ino) {
            nodes[parent]?.attributes.linkCount += 1
            nodes[ino]?.parent = parent
        }
        touch(parent, now)
    }

    private mutating func remove(
        _ name: EntryName,
        from parent: InodeNumber,
        _ now: Timestamp
    ) {
        guard let ino = nodes[parent]?.children.removeValue(forKey: name) else { return }
        if isDirectory(ino) { nodes[parent]?.attributes.linkCount -= 1 }
        touch(parent, now)
    }

    private mutating func dropLink(_ ino: InodeNumber, _ now: Timestamp) {
        let isDirectory = isDirectory(ino)
        update(ino) { attributes in
            attributes.linkCount = isDirectory ? 0 : attributes.linkCount - 1
            attributes.changed = now
        }
    }

    private mutating func touch(_ directory: InodeNumber, _ now: Timestamp) {
        update(directory) { attributes in
            attributes.modified = now
            attributes.changed = now
        }
    }
}

// MARK: Comparison

extension ReferenceTree {
    /// Everything, a line per inode, to be compared with that of a store.
    func lines() -> [String] {
        all.map { ino in
            guard let node = nodes[ino] else { return "" }
            return Self.line(
                node.attributes,
                target: node.target,
                xattrs: node.xattrs,
                children: node.attributes.linkCount == 0 ? [:] : node.children,
                parent: node.attributes.kind == .directory ? node.parent : nil
            )
        }
    }

    static func line(
        _ attributes: Attributes,
        target: [UInt8],
        xattrs: [[UInt8]: [UInt8]],
        children: [EntryName: InodeNumber],
        parent: InodeNumber?
    ) -> String {
        let names = children.map { "\($0.key)→\($0.value.rawValue)" }.sorted()
        let values = xattrs.map { "\($0.key)=\($0.value)" }.sorted()
        return "\(attributes) \(target) \(values) \(names) \(parent?.rawValue ?? 0)"
    }
}

extension MetadataStore {
    /// Everything, a line per inode, found by walking down from the root.
    func lines() throws -> [String] {
        var lines: [InodeNumber: String] = [:]
        var waiting = [InodeNumber.root] + (try orphans())
        while let ino = waiting.popLast() {
            if lines[ino] != nil { continue }
            let attributes = try self.attributes(of: ino)
            var children: [EntryName: InodeNumber] = [:]
            var xattrs: [[UInt8]: [UInt8]] = [:]
            for name in try extendedAttributes(of: ino) {
                xattrs[name] = try extendedAttribute(name, of: ino)
            }
            if attributes.kind == .directory {
                for entry in try listing(ino, by: 3) {
                    children[entry.name] = entry.attributes.ino
                    waiting.append(entry.attributes.ino)
                }
            }
            lines[ino] = ReferenceTree.line(
                attributes,
                target: attributes.kind == .symbolicLink ? try readLink(ino) : [],
                xattrs: xattrs,
                children: children,
                parent: attributes.kind == .directory ? try parent(of: ino) : nil
            )
        }
        return lines.sorted { $0.key < $1.key }.map(\.value)
    }
}
