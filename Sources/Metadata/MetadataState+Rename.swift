import Primitives

/// `renameat2(2)`.
extension MetadataState {
    /// One end of a rename: a name in a directory, and what it leads to.
    private struct End {
        let name: EntryName
        let directory: Inode
        let child: Child
        let inode: Inode
    }

    /// - Returns: What the new name led to before, if it lost that name.
    func rename(
        _ name: EntryName,
        in parent: InodeNumber,
        to newName: EntryName,
        in newParent: InodeNumber,
        mode: RenameMode,
        whiteout: NewInode?,
        now: Timestamp
    ) throws(FileSystemError) -> Unlinked? {
        let directory = try directory(parent)
        let newDirectory = try self.directory(newParent)
        let source = try end(name, in: directory)
        let target: End? =
            if try child(newName, in: newDirectory) != nil {
                try end(newName, in: newDirectory)
            } else {
                nil
            }
        switch (mode, target) {
        case (.noReplace, .some): throw exists(newName, in: newParent)
        case (.exchange, nil):
            throw FileSystemError(
                .notFound,
                "\"\(newName)\" does not exist in directory \(newParent.rawValue)"
            )
        default: break
        }
        // Two names of one inode: nothing happens (`man 2 rename`).
        if let target, target.inode === source.inode { return nil }
        try refuseCycle(moving: source, into: newDirectory)

        if mode == .exchange, let target {
            try refuseCycle(moving: target, into: directory)
            exchange(source, target, now: now)
            return nil
        }
        if let target { try checkReplacement(of: target, by: source) }
        let unlinked = move(source, to: newName, in: newDirectory, replacing: target, now: now)
        if let whiteout {
            let left = addInode(whiteout, Inheritance(mode: whiteout.mode), in: directory, now: now)
            addEntry(name, to: left, in: directory, now: now)
        }
        return unlinked
    }

    private func end(_ name: EntryName, in directory: Inode) throws(FileSystemError) -> End {
        let child = try existing(name, in: directory)
        return End(
            name: name,
            directory: directory,
            child: child,
            inode: try inode(of: child, named: name)
        )
    }

    /// Refuses to move a directory into itself or below itself.
    private func refuseCycle(moving end: End, into directory: Inode) throws(FileSystemError) {
        guard end.inode.isDirectory, end.directory !== directory else { return }
        var ancestor = directory
        // So many steps are more than any tree has, and end where damage has made a ring.
        for _ in 0...totals.inodes {
            guard ancestor !== end.inode else {
                throw FileSystemError(
                    .invalid,
                    "directory \"\(end.name)\" cannot be moved below itself"
                )
            }
            if ancestor.ino == .root { return }
            ancestor = try self.inode(ancestor.row.parent)
        }
        throw FileSystemError(
            .corrupt,
            "metadata database: directory \(directory.ino.rawValue) does not hang on the root"
        )
    }

    private func checkReplacement(of target: End, by source: End) throws(FileSystemError) {
        switch (source.inode.isDirectory, target.inode.isDirectory) {
        case (true, false):
            throw FileSystemError(
                .notDirectory,
                "\"\(target.name)\" is not a directory and cannot give way to one"
            )
        case (false, true):
            throw FileSystemError(
                .isDirectory,
                "\"\(target.name)\" is a directory and cannot give way to a file"
            )
        case (true, true) where target.inode.row.entryCount > 0:
            throw notEmpty(target.name, in: target.directory.ino)
        default: break
        }
    }

    // MARK: Second halves: cannot fail

    private func exchange(_ source: End, _ target: End, now: Timestamp) {
        for (end, other) in [(source, target), (target, source)] {
            // The name keeps its place in the listing and leads to the other inode.
            setEntry(
                end.name,
                to: Child(ino: other.inode.ino, cookie: end.child.cookie),
                in: end.directory
            )
            if end.inode.isDirectory, end.directory !== other.directory {
                end.directory.row.attributes.linkCount &-= 1
                other.directory.row.attributes.linkCount &+= 1
                end.inode.row.parent = other.directory.ino
            }
            end.inode.row.attributes.changed = now
            markDirty(end.inode)
            touch(end.directory, now: now)
        }
        changes.operations += 1
    }

    private func move(
        _ source: End,
        to name: EntryName,
        in directory: Inode,
        replacing target: End?,
        now: Timestamp
    ) -> Unlinked? {
        removeEntry(source.name, of: source.inode, in: source.directory, now: now)
        var unlinked: Unlinked?
        if let target {
            removeEntry(target.name, of: target.inode, in: directory, now: now)
            unlinked = dropLink(target.inode, now: now)
        }
        // A listing under way should see the entry once: so it keeps its place within a
        // directory, and takes the place of what it replaces.
        let cookie =
            target?.child.cookie ?? (source.directory === directory ? source.child.cookie : nil)
        addEntry(name, to: source.inode, in: directory, cookie: cookie, now: now)
        source.inode.row.attributes.changed = now
        markDirty(source.inode)
        changes.operations += 1
        return unlinked
    }
}
