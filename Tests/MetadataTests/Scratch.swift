import Disk
import Glibc
import Metadata
import Primitives

/// Runs `body` with a fresh directory, removed after.
func withScratch<T>(_ body: (String) throws -> T) throws -> T {
    // In memory where that is to be had: what a sync costs is not what is tested.
    let base = Directory.isDirectory("/dev/shm") ? "/dev/shm" : "/tmp"
    let directory = "\(base)/mefs-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try Directory.make(directory, durably: false)
    defer { try? Directory.remove(tree: directory) }
    return try body(directory)
}

/// Runs `body` with the path of a new, closed store.
func withNewStore<T>(_ body: (String) throws -> T) throws -> T {
    try withScratch { directory in
        let path = directory + "/volume.db"
        try MetadataStore.create(at: path, uid: 0, gid: 0, now: time(1))
        return try body(path)
    }
}

/// Runs `body` with a new, open store, closed after.
func withStore<T>(
    limits: MetadataLimits = MetadataLimits(),
    _ body: (MetadataStore) throws -> T
) throws -> T {
    try withNewStore { path in
        let store = try MetadataStore(opening: path, limits: limits)
        let result = try body(store)
        try store.close()
        return result
    }
}

/// Mounting needs the superuser.
let isSuperuser = geteuid() == 0

extension MetadataLimits {
    /// So small that every cache overflows, every batch fills and the log is moved all the time.
    static var tiny: MetadataLimits {
        var limits = MetadataLimits()
        limits.inodesCached = 16
        limits.entriesCached = 16
        limits.blocksCached = 16
        limits.stripesCached = 4
        limits.commitDelay = .milliseconds(1)
        limits.commitOperations = 8
        limits.unsavedOperationsMax = 32
        limits.logFrames = 32
        limits.logFramesMax = 64
        return limits
    }

    /// Commits only when told to, so that a test knows what is saved.
    static var manual: MetadataLimits {
        var limits = MetadataLimits()
        limits.commitDelay = .seconds(3600)
        limits.commitOperations = .max
        limits.unsavedOperationsMax = 1 << 40
        return limits
    }
}

func time(_ seconds: Int) -> Timestamp {
    Timestamp(seconds: Int64(seconds), nanoseconds: UInt32(seconds % 1000))
}

func name(_ text: String) throws -> EntryName { try EntryName(Array(text.utf8)) }

extension NewInode {
    static let file = NewInode(kind: .regular, mode: 0o644, uid: 1000, gid: 1000)
    static let directory = NewInode(kind: .directory, mode: 0o755, uid: 1000, gid: 1000)

    static func link(_ target: String) -> NewInode {
        NewInode(
            kind: .symbolicLink,
            mode: 0o777,
            uid: 1000,
            gid: 1000,
            target: Array(target.utf8)
        )
    }
}

extension MetadataStore {
    /// Makes a file, or what `new` says, and gives its number.
    @discardableResult
    func make(
        _ text: String,
        in parent: InodeNumber = .root,
        _ new: NewInode = .file,
        at now: Int = 2
    ) throws -> InodeNumber {
        try create(new, named: try name(text), in: parent, now: time(now)).ino
    }

    /// Names in a directory, listed `limit` at a time.
    func names(in directory: InodeNumber = .root, by limit: Int = 100) throws -> [String] {
        try listing(directory, by: limit).map(\.name.description)
    }

    func listing(_ directory: InodeNumber, by limit: Int = 100) throws -> [DirectoryEntry] {
        var all: [DirectoryEntry] = []
        while true {
            let part = try readDirectory(
                directory,
                after: all.last?.cookie ?? 0,
                limit: limit
            )
            if part.isEmpty { return all }
            all += part
        }
    }
}

/// The code of the error that `body` throws; `nil` if it throws none.
func code(_ body: () throws -> Void) -> FileSystemError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? FileSystemError)?.code
    }
}
