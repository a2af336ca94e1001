import Disk
import Glibc
import Metadata
import Primitives

/// Names and attributes in a database of its own, without a kernel.
final class MetadataStages {
    static let names = [
        "create", "look up", "look up what is not there", "list", "commit and sync",
    ]

    private static let listingMax = 1000
    private static let filesPerDirectory = 1000

    private let path: String
    private let store: MetadataStore
    private let names: [EntryName]
    private let absent: [EntryName]
    private var folder = 0
    private var folders: [InodeNumber] = []

    init(in directory: String, files: Int) throws {
        path = "\(directory)/mefs-lab-names.\(getpid())"
        try Directory.make(path)
        let database = path + "/metadata"
        try MetadataStore.create(at: database, uid: 0, gid: 0, now: Clock.now())
        store = try MetadataStore(opening: database)
        names = try (0..<files).map { try EntryName(Array("file-\($0)".utf8)) }
        absent = try (0..<files).map { try EntryName(Array("none-\($0)".utf8)) }
    }

    func measure(_ timer: inout StageTimer) throws {
        try timer.operations("create", names.count) {
            try makeAll()
            try store.commit()
        }
        if folders.isEmpty { try makeAll() }
        try timer.operations("look up", names.count) {
            for (index, name) in names.enumerated() {
                _ = try store.lookup(name, in: folders[index / Self.filesPerDirectory])
            }
        }
        try timer.operations("look up what is not there", names.count) {
            for (index, name) in absent.enumerated() {
                _ = try? store.lookup(name, in: folders[index / Self.filesPerDirectory])
            }
        }
        try timer.operations("list", names.count) {
            for folder in folders {
                var cookie: UInt64 = 0
                while let last = try store.readDirectory(
                    folder,
                    after: cookie,
                    limit: Self.listingMax
                )
                .last {
                    cookie = last.cookie
                }
            }
        }
        let syncs = 100
        try timer.operations("commit and sync", syncs) {
            for index in 0..<syncs {
                folder += 1
                _ = try make("synced-\(folder)-\(index)", .regular, in: .root)
                try store.sync()
            }
        }
    }

    /// Makes all files in folders of their own, after earlier ones.
    private func makeAll() throws {
        folders = []
        for (index, name) in names.enumerated() {
            if index.isMultiple(of: Self.filesPerDirectory) {
                folder += 1
                folders.append(try make("folder-\(folder)", .directory, in: .root))
            }
            guard let last = folders.last else { continue }
            let new = NewInode(kind: .regular, mode: 0o644, uid: 0, gid: 0)
            _ = try store.create(new, named: name, in: last, now: Clock.now())
        }
    }

    private func make(
        _ name: String,
        _ kind: FileKind,
        in parent: InodeNumber
    ) throws -> InodeNumber {
        let new = NewInode(kind: kind, mode: 0o755, uid: 0, gid: 0)
        return try store.create(
            new,
            named: try EntryName(Array(name.utf8)),
            in: parent,
            now: Clock.now()
        )
        .ino
    }

    /// Closes the database and removes it.
    func remove() {
        try? store.close()
        try? Directory.remove(tree: path)
    }
}
