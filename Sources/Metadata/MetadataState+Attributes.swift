import Primitives

/// Attributes, listings, symbolic links, keys.
extension MetadataState {
    /// Entries of one listing at most; callers ask for what fits a page or a few.
    static let listMax = 4096

    func setAttributes(
        _ change: AttributeChange,
        of ino: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        let inode = try inode(ino)
        if let size = change.size { try prepareResize(inode, to: size) }
        var list = change.mode == nil ? nil : try accessList(AccessList.accessName, of: inode)

        if let mode = change.mode {
            inode.row.attributes.mode = mode & 0o7777
            list?.setPermissions(mode)
            if let list { putXattr(AccessList.accessName, list.bytes, of: inode) }
        }
        if let uid = change.uid { inode.row.attributes.uid = uid }
        if let gid = change.gid { inode.row.attributes.gid = gid }
        if let size = change.size {
            resize(inode, to: size)
            inode.row.attributes.modified = now
        }
        if let accessed = change.accessed { inode.row.attributes.accessed = accessed }
        if let modified = change.modified { inode.row.attributes.modified = modified }
        inode.row.attributes.changed = change.changed ?? now
        markDirty(inode)
        changes.operations += 1
        return inode.row.attributes
    }

    func recordWrite(
        _ ino: InodeNumber,
        growingTo size: UInt64,
        now: Timestamp?
    ) throws(FileSystemError) -> Attributes {
        let inode = try inode(ino)
        guard inode.kind == .regular else {
            throw FileSystemError(.invalid, "inode \(ino.rawValue) is not a regular file")
        }
        let isGrowing = size > inode.row.attributes.size
        if isGrowing { try prepareResize(inode, to: size) }
        guard isGrowing || now != nil else { return inode.row.attributes }

        // Counted once per commit: only then does it cost a row.
        if !inode.isDirty { changes.operations += 1 }
        if isGrowing { resize(inode, to: size) }
        if let now {
            inode.row.attributes.modified = now
            // What was written unseen is told late: a change since then is newer.
            inode.row.attributes.changed = max(inode.row.attributes.changed, now)
        }
        markDirty(inode)
        return inode.row.attributes
    }

    /// Notes that the inode was read, if `policy` wants its access time to tell.
    func recordRead(
        _ ino: InodeNumber,
        policy: AccessTimePolicy,
        now: Timestamp
    ) throws(FileSystemError) {
        let inode = try inode(ino)
        guard policy.isDue(inode.row.attributes, now: now) else { return }
        inode.row.attributes.accessed = now
        if !inode.isDirty { changes.operations += 1 }
        markDirty(inode)
    }

    func checkSize(_ size: UInt64, of ino: InodeNumber) throws(FileSystemError) {
        guard size <= Geometry.fileBytesMax else {
            throw FileSystemError(
                .fileTooLarge,
                "file \(ino.rawValue) cannot have \(size) bytes; "
                    + "\(Geometry.fileBytesMax) is the most"
            )
        }
    }

    func readLink(_ ino: InodeNumber) throws(FileSystemError) -> [UInt8] {
        let inode = try inode(ino)
        guard inode.kind == .symbolicLink else {
            throw FileSystemError(.invalid, "inode \(ino.rawValue) is not a symbolic link")
        }
        if let target = inode.target { return target }
        guard let target = try reader.target(of: ino) else {
            throw FileSystemError(
                .corrupt,
                "metadata database: symbolic link \(ino.rawValue) has no target"
            )
        }
        inode.target = target
        return target
    }

    func parent(of ino: InodeNumber) throws(FileSystemError) -> InodeNumber {
        let inode = try inode(ino)
        guard inode.isDirectory else {
            throw FileSystemError(.notDirectory, "inode \(ino.rawValue) is not a directory")
        }
        return inode.row.parent
    }

    func readDirectory(
        _ ino: InodeNumber,
        after cookie: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [DirectoryEntry] {
        let inode = try inode(ino)
        guard inode.isDirectory else {
            throw FileSystemError(.notDirectory, "inode \(ino.rawValue) is not a directory")
        }
        let limit = min(max(0, limit), Self.listMax)
        var unsaved: [EntryName: Edit<Child>] = [:]
        forEachUnsaved { set in
            for (key, edit) in set.entries where key.parent == ino { unsaved[key.name] = edit }
        }
        // So many more as memory may know to be gone: an empty answer would mean the end.
        var found = try reader.entries(of: ino, after: cookie, limit: limit + unsaved.count)
        if !unsaved.isEmpty {
            found.removeAll { unsaved[$0.name] != nil }
            for (name, edit) in unsaved {
                if case .put(let child) = edit, child.cookie > cookie {
                    found.append((name, child))
                }
            }
            found.sort { $0.child.cookie < $1.child.cookie }
        }
        var listing: [DirectoryEntry] = []
        listing.reserveCapacity(min(limit, found.count))
        for (name, child) in found.prefix(limit) {
            entries.insert(child, for: EntryKey(parent: ino, name: name))
            let attributes = try self.inode(of: child, named: name).row.attributes
            listing.append(
                DirectoryEntry(name: name, cookie: child.cookie, attributes: attributes)
            )
        }
        return listing
    }

    // MARK: Keys

    func fileKey(of ino: InodeNumber) throws(FileSystemError) -> [UInt8]? {
        let inode = try inode(ino)
        if let key = inode.fileKey { return key }
        let key = try reader.fileKey(of: ino)
        inode.fileKey = .some(key)
        return key
    }

    func setFileKey(_ wrapped: [UInt8], of ino: InodeNumber) throws(FileSystemError) {
        let inode = try inode(ino)
        inode.fileKey = .some(wrapped)
        changes.fileKeys[ino] = wrapped
        changes.touched.insert(ino)
        changes.operations += 1
    }
}
