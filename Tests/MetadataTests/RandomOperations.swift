import Metadata
import Primitives

/// Does the same random operations to a store and to a reference, and tells where they differ.
struct RandomOperations {
    struct Difference: Error, CustomStringConvertible {
        let description: String
    }

    private var random: SeededGenerator
    private var clock = 100
    private(set) var tree: ReferenceTree
    /// Few, so that most operations meet an entry.
    private let names: [EntryName]

    init(seed: UInt64, store: MetadataStore) throws {
        random = SeededGenerator(seed: seed)
        tree = ReferenceTree(root: try store.attributes(of: .root))
        names = try (0..<6).map { try name("n\($0)") } + [EntryName([0xff, 0x00 + 1, 0xfe])]
    }

    /// Does one operation on both.
    mutating func step(_ store: MetadataStore) throws {
        clock += 1
        let now = time(clock)
        switch Int.random(in: 0..<100, using: &random) {
        case ..<30: try create(store, now)
        case ..<38: try link(store, now)
        case ..<50: try unlink(store, now)
        case ..<56: try removeDirectory(store, now)
        case ..<72: try rename(store, now)
        case ..<80: try setAttributes(store, now)
        case ..<85: try write(store, now)
        case ..<90: try xattr(store, now)
        case ..<93: try reap(store)
        default: try lookup(store)
        }
    }

    private mutating func pick<T>(_ all: [T], or other: T) -> T {
        all.randomElement(using: &random) ?? other
    }

    private mutating func anyName() -> EntryName { pick(names, or: names[0]) }
    private mutating func anyInode() -> InodeNumber { pick(tree.all, or: .root) }

    /// Mostly a directory.
    private mutating func anyParent() -> InodeNumber {
        Int.random(in: 0..<20, using: &random) == 0
            ? anyInode() : pick(tree.directories, or: .root)
    }

    private func compare(
        _ what: String,
        _ expected: FileSystemError.Code?,
        _ body: () throws -> Void
    ) throws {
        let got = code(body)
        guard got == expected else {
            throw Difference(
                description: "\(what): the store says \(String(describing: got)), "
                    + "the reference \(String(describing: expected))"
            )
        }
    }

    private mutating func create(_ store: MetadataStore, _ now: Timestamp) throws {
        let kinds: [NewInode] = [
            .file, .file, .directory, .link("somewhere"),
            NewInode(kind: .fifo, mode: 0o600, uid: 1, gid: 2),
            NewInode(kind: .characterDevice, mode: 0o600, uid: 1, gid: 2, rdev: 0x1_0000_0005),
        ]
        var new = pick(kinds, or: .file)
        if new.kind == .directory, Int.random(in: 0..<4, using: &random) == 0 {
            new.mode |= 0o2000
        }
        let parent = anyParent()
        let name = anyName()
        var made: InodeNumber?
        let got = code { made = try store.create(new, named: name, in: parent, now: now).ino }
        let expected = tree.create(new, name, in: parent, ino: made, now: now)
        try compare("create", expected) { if let got { throw FileSystemError(got, "") } }
    }

    private mutating func link(_ store: MetadataStore, _ now: Timestamp) throws {
        let (ino, name, parent) = (anyInode(), anyName(), anyParent())
        try compare("link", tree.link(ino, name, in: parent, now: now)) {
            _ = try store.link(ino, as: name, in: parent, now: now)
        }
    }

    private mutating func unlink(_ store: MetadataStore, _ now: Timestamp) throws {
        let (name, parent) = (anyName(), anyParent())
        try compare("unlink", tree.unlink(name, in: parent, now: now)) {
            try store.unlink(name, in: parent, now: now)
        }
    }

    private mutating func removeDirectory(_ store: MetadataStore, _ now: Timestamp) throws {
        let (name, parent) = (anyName(), anyParent())
        try compare("removeDirectory", tree.removeDirectory(name, in: parent, now: now)) {
            try store.removeDirectory(name, in: parent, now: now)
        }
    }

    private mutating func rename(_ store: MetadataStore, _ now: Timestamp) throws {
        let (name, parent, newName, newParent) = (anyName(), anyParent(), anyName(), anyParent())
        let mode = pick([RenameMode.replace, .replace, .noReplace, .exchange], or: .replace)
        let expected = tree.rename(
            name,
            in: parent,
            to: newName,
            in: newParent,
            mode: mode,
            now: now
        )
        try compare("rename \(mode)", expected) {
            try store.rename(name, in: parent, to: newName, in: newParent, mode: mode, now: now)
        }
    }

    private mutating func setAttributes(_ store: MetadataStore, _ now: Timestamp) throws {
        let ino = anyInode()
        var change = AttributeChange()
        if Bool.random(using: &random) {
            change.mode = UInt16.random(in: 0...0o7777, using: &random)
        }
        if Bool.random(using: &random) { change.uid = UInt32.random(in: 0...9, using: &random) }
        if Bool.random(using: &random) { change.gid = UInt32.random(in: 0...9, using: &random) }
        if Bool.random(using: &random) { change.accessed = time(clock + 7) }
        if Bool.random(using: &random) {
            change.modified = Timestamp(seconds: -5, nanoseconds: 999_999_999)
        }
        if Bool.random(using: &random) { change.size = UInt64.random(in: 0...9999, using: &random) }
        try compare("setAttributes", tree.change(ino, change, now: now)) {
            _ = try store.setAttributes(change, of: ino, now: now)
        }
    }

    private mutating func write(_ store: MetadataStore, _ now: Timestamp) throws {
        let (ino, size) = (anyInode(), UInt64.random(in: 0...9999, using: &random))
        try compare("recordWrite", tree.write(ino, growingTo: size, now: now)) {
            try store.recordWrite(ino, growingTo: size, now: now)
        }
    }

    private mutating func xattr(_ store: MetadataStore, _ now: Timestamp) throws {
        let ino = anyInode()
        let name = Array("user.\(Int.random(in: 0..<3, using: &random))".utf8)
        let mode = pick([XattrMode.set, .create, .replace], or: .set)
        let isRemoval = Int.random(in: 0..<3, using: &random) == 0
        let value = random.bytes(Int.random(in: 0..<20, using: &random))
        let expected = tree.setXattr(ino, name, isRemoval ? nil : value, mode: mode, now: now)
        try compare("xattr", expected) {
            if isRemoval {
                try store.removeExtendedAttribute(name, of: ino, now: now)
            } else {
                try store.setExtendedAttribute(name, to: value, mode: mode, of: ino, now: now)
            }
        }
    }

    private mutating func reap(_ store: MetadataStore) throws {
        let ino = Bool.random(using: &random) ? pick(tree.orphans, or: .root) : anyInode()
        try compare("reap", tree.reap(ino)) { try store.reap(ino) }
    }

    private mutating func lookup(_ store: MetadataStore) throws {
        let (name, parent) = (anyName(), anyParent())
        switch tree.lookup(name, in: parent) {
        case .failure(let error):
            try compare("lookup", error.code) { _ = try store.lookup(name, in: parent) }
        case .success(let expected):
            let got = try store.lookup(name, in: parent)
            guard got == expected else {
                throw Difference(description: "lookup: \(got), not \(expected)")
            }
        }
    }
}
