import Disk
import Glibc
import Synchronization

/// Names: each of these calls happens wholly or not at all.
extension SimulatedDisk {
    func open(
        _ path: String,
        _ options: Descriptor.Options,
        _ life: ProcessLife
    ) throws(DiskError) -> (node: DiskNode, isNew: Bool) {
        let existing = node(at: path, life)
        if existing == nil, options.contains(.create), !life.isOver {
            return try mutate(.name, "create", path, life) { state, _ throws(DiskError) in
                let (parent, name) = try state.place(path, "create")
                let file = state.newFile()
                state.add(.file(file), name, to: parent)
                file.opens += 1
                return (.file(file), true)
            }
        }
        scheduler.pass(least: 1_000, most: 9_000)
        scheduler.record("open", path, 0, UInt64(life.number))
        let node = try state.withLock { state throws(DiskError) -> DiskNode in
            try Self.admit(.open, "open", path, &state, life)
            guard let node = state.find(Self.parts(path)) else {
                throw DiskError("open", path, errno: ENOENT)
            }
            if options.contains(.create), options.contains(.exclusive) {
                throw DiskError("create", path, errno: EEXIST)
            }
            switch node {
            case .file where options.contains(.directory):
                throw DiskError("open", path, errno: ENOTDIR)
            case .file(let file): file.opens += 1
            case .directory: break
            }
            return node
        }
        if options.contains(.truncate), case .file(let file) = node {
            try truncate(file, path, to: 0, life)
        }
        return (node, false)
    }

    /// A file without a name, as SQLite's temporary ones.
    func openUnnamed(_ life: ProcessLife) throws(DiskError) -> FileNode {
        try mutate(.name, "create", "unnamed", life) { state, _ throws(DiskError) in
            let file = state.newFile()
            file.opens += 1
            return file
        }
    }

    func close(_ file: FileNode, holder: ObjectIdentifier, _ life: ProcessLife) {
        state.withLock { state in
            if file.lockHolder == holder { file.lockHolder = nil }
            guard !life.isOver else { return }
            file.opens -= 1
            state.releaseIfGone(file)
        }
    }

    /// What is at `path`; nothing for a process that is gone.
    func node(at path: String, _ life: ProcessLife) -> DiskNode? {
        guard !life.isOver else { return nil }
        return state.withLock { $0.find(Self.parts(path)) }
    }

    func list(_ path: String, _ life: ProcessLife) throws(DiskError) -> [String] {
        scheduler.pass(least: 1_000, most: 20_000)
        return try state.withLock { state throws(DiskError) in
            try Self.admit(.open, "list", path, &state, life)
            switch state.find(Self.parts(path)) {
            case nil: throw DiskError("list", path, errno: ENOENT)
            case .file: throw DiskError("list", path, errno: ENOTDIR)
            case .directory(let directory): return directory.sortedNames
            }
        }
    }

    func makeDirectory(_ path: String, _ life: ProcessLife) throws(DiskError) {
        try mutate(.name, "make directory", path, life) { state, _ throws(DiskError) in
            let (parent, name) = try state.place(path, "make directory")
            guard parent.names[name] == nil else {
                throw DiskError("make directory", path, errno: EEXIST)
            }
            state.add(.directory(DirectoryNode()), name, to: parent)
        }
    }

    func removeDirectory(_ path: String, _ life: ProcessLife) throws(DiskError) {
        try mutate(.name, "remove directory", path, life) { state, _ throws(DiskError) in
            let (parent, name) = try state.place(path, "remove directory")
            guard case .directory(let directory)? = parent.names[name] else {
                let errno = parent.names[name] == nil ? ENOENT : ENOTDIR
                throw DiskError("remove directory", path, errno: errno)
            }
            guard directory.names.isEmpty else {
                throw DiskError("remove directory", path, errno: ENOTEMPTY)
            }
            parent.change(.remove(name), order: state.order)
        }
    }

    func unlink(_ path: String, _ life: ProcessLife) throws(DiskError) {
        try mutate(.name, "remove", path, life) { state, _ throws(DiskError) in
            let (parent, name) = try state.place(path, "remove")
            guard case .file(let file)? = parent.names[name] else {
                let errno = parent.names[name] == nil ? ENOENT : EISDIR
                throw DiskError("remove", path, errno: errno)
            }
            parent.change(.remove(name), order: state.order)
            file.links -= 1
            state.releaseIfGone(file)
        }
    }

    func link(_ path: String, _ newPath: String, _ life: ProcessLife) throws(DiskError) {
        try mutate(.name, "create", newPath, life) { state, _ throws(DiskError) in
            guard case .file(let file)? = state.find(Self.parts(path)) else {
                throw DiskError("create", newPath, errno: ENOENT)
            }
            let (parent, name) = try state.place(newPath, "create")
            guard parent.names[name] == nil else {
                throw DiskError("create", newPath, errno: EEXIST)
            }
            state.add(.file(file), name, to: parent)
        }
    }

    func rename(
        _ path: String,
        _ newPath: String,
        replaces: Bool,
        _ life: ProcessLife
    ) throws(DiskError) {
        try mutate(.name, "rename", path, life) { state, _ throws(DiskError) in
            let (source, name) = try state.place(path, "rename")
            let (target, newName) = try state.place(newPath, "rename")
            guard let node = source.names[name] else {
                throw DiskError("rename", path, errno: ENOENT)
            }
            let old = target.names[newName]
            if let old {
                guard replaces else { throw DiskError("rename", path, errno: EEXIST) }
                guard try state.isReplaceable(old, by: node, path) else { return }
            }
            if source === target {
                source.change(.move(from: name, to: newName), order: state.order)
            } else {
                target.change(.add(newName, node), order: state.order)
                source.change(.remove(name), order: state.order, target: target)
            }
            if case .file(let file)? = old {
                file.links -= 1
                state.releaseIfGone(file)
            }
        }
    }

    func resolve(_ path: String, _ life: ProcessLife) throws(DiskError) -> String {
        guard node(at: path, life) != nil else {
            throw DiskError("resolve", path, errno: life.isOver ? EIO : ENOENT)
        }
        return "/" + Self.parts(path).joined(separator: "/")
    }

    func space(_ life: ProcessLife) throws(DiskError) -> (free: UInt64, total: UInt64) {
        try state.withLock { state throws(DiskError) in
            try Self.admit(.open, "measure", "/", &state, life)
            let free = state.capacityBytes - min(state.usedBytes, state.capacityBytes)
            return (free, state.capacityBytes)
        }
    }

    // MARK: Locks

    func lock(
        _ file: FileNode,
        _ path: String,
        holder: ObjectIdentifier,
        _ life: ProcessLife
    ) throws(DiskError) {
        try state.withLock { state throws(DiskError) in
            try Self.admit(.open, "lock", path, &state, life)
            guard !Self.isHeld(file, butNotBy: holder) else {
                throw DiskError("lock", path, errno: EAGAIN)
            }
            file.lockHolder = holder
            file.lockLife = life
        }
    }

    func unlock(_ file: FileNode, holder: ObjectIdentifier) {
        state.withLock { _ in
            if file.lockHolder == holder { file.lockHolder = nil }
        }
    }

    func isLocked(_ file: FileNode, butNotBy holder: ObjectIdentifier) -> Bool {
        state.withLock { _ in Self.isHeld(file, butNotBy: holder) }
    }

    /// The locks of a process go with it.
    private static func isHeld(_ file: FileNode, butNotBy holder: ObjectIdentifier) -> Bool {
        guard let held = file.lockHolder, let life = file.lockLife, !life.isOver else {
            return false
        }
        return held != holder
    }
}

extension SimulatedDisk.State {
    /// The directory that holds the path's last part, and that part.
    fileprivate func place(
        _ path: String,
        _ operation: String
    ) throws(DiskError) -> (DirectoryNode, String) {
        var parts = SimulatedDisk.parts(path)
        guard let name = parts.popLast() else { throw DiskError(operation, path, errno: EBUSY) }
        guard name.utf8.count <= 255 else { throw DiskError(operation, path, errno: ENAMETOOLONG) }
        switch find(parts) {
        case .directory(let directory): return (directory, name)
        case .file: throw DiskError(operation, path, errno: ENOTDIR)
        case nil: throw DiskError(operation, path, errno: ENOENT)
        }
    }

    fileprivate mutating func newFile() -> FileNode {
        filesMade += 1
        return FileNode(number: filesMade)
    }

    fileprivate func add(_ node: DiskNode, _ name: String, to directory: DirectoryNode) {
        directory.change(.add(name, node), order: order)
        if case .file(let file) = node { file.links += 1 }
    }

    /// Whether a rename changes anything: not between two names of one file.
    fileprivate func isReplaceable(
        _ old: DiskNode,
        by node: DiskNode,
        _ path: String
    ) throws(DiskError) -> Bool {
        switch (old, node) {
        case (.file(let old), .file(let new)): return old !== new
        case (.directory(let old), .directory(let new)):
            guard old !== new else { return false }
            guard old.names.isEmpty else { throw DiskError("rename", path, errno: ENOTEMPTY) }
            return true
        case (.file, .directory): throw DiskError("rename", path, errno: ENOTDIR)
        case (.directory, .file): throw DiskError("rename", path, errno: EISDIR)
        }
    }

    /// Gives back the space of a file that nobody can reach any more.
    mutating func releaseIfGone(_ file: FileNode) {
        if file.isGone { usedBytes -= min(file.allocatedBytes, usedBytes) }
    }
}
