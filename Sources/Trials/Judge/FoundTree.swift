import Metadata
import Primitives
import Volume

/// What an engine shows of its volume: every inode that has a name.
struct FoundTree {
    private(set) var nodes: [InodeNumber: NodeState] = [:]
    /// Regular files, in order of number.
    var files: [InodeNumber] {
        nodes.filter { $0.value.kind == .regular }.keys.sorted()
    }

    /// Walks down from the root.
    init(_ engine: VolumeEngine) throws(FileSystemError) {
        nodes[.root] = NodeState(try engine.attributes(of: .root))
        var waiting = [InodeNumber.root]
        while let directory = waiting.popLast() {
            let children = try Self.children(of: directory, engine)
            nodes[directory]?.children = children.mapValues(\.ino)
            nodes[directory]?.parent = try engine.parent(of: directory)
            for (name, listed) in children {
                let attributes = try engine.lookup(name, in: directory)
                guard attributes == listed else {
                    throw FileSystemError(
                        .corrupt,
                        "\(name) in \(directory.rawValue): a listing says \(listed), a lookup"
                            + " \(attributes)"
                    )
                }
                if nodes[attributes.ino] != nil { continue }
                nodes[attributes.ino] = try Self.node(attributes, engine)
                if attributes.kind == .directory { waiting.append(attributes.ino) }
            }
        }
    }

    private static func children(
        of directory: InodeNumber,
        _ engine: VolumeEngine
    ) throws(FileSystemError) -> [EntryName: Attributes] {
        var children: [EntryName: Attributes] = [:]
        var cookie: UInt64 = 0
        while true {
            let page = try engine.readDirectory(directory, after: cookie, limit: 64)
            guard let last = page.last else { return children }
            for entry in page { children[entry.name] = entry.attributes }
            cookie = last.cookie
        }
    }

    private static func node(
        _ attributes: Attributes,
        _ engine: VolumeEngine
    ) throws(FileSystemError) -> NodeState {
        var node = NodeState(attributes)
        let ino = attributes.ino
        if attributes.kind == .symbolicLink { node.target = try engine.readLink(ino) }
        for name in try engine.extendedAttributes(of: ino)
        where !name.starts(with: Array("user.mefs.".utf8)) {
            node.xattrs[name] = try engine.extendedAttribute(name, of: ino)
        }
        return node
    }
}
