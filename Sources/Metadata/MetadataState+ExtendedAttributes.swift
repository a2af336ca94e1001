import Primitives

/// Extended attributes, access lists among them.
extension MetadataState {
    /// The longest name of an extended attribute, and the largest value and list, as in Linux
    /// (`XATTR_NAME_MAX`, `XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
    static let xattrNameBytesMax = 255
    static let xattrValueBytesMax = 64 << 10
    static let xattrListBytesMax: UInt64 = 64 << 10

    private func loadXattrs(_ inode: Inode) throws(FileSystemError) -> [[UInt8]: [UInt8]] {
        if let xattrs = inode.xattrs { return xattrs }
        let xattrs = inode.row.xattrBytes == 0 ? [:] : try reader.xattrs(of: inode.ino)
        inode.xattrs = xattrs
        return xattrs
    }

    func xattr(_ name: [UInt8], of ino: InodeNumber) throws(FileSystemError) -> [UInt8] {
        let inode = try inode(ino)
        guard let value = try loadXattrs(inode)[name] else { throw noAttribute(name, of: ino) }
        return value
    }

    /// Names in order of bytes.
    func xattrs(of ino: InodeNumber) throws(FileSystemError) -> [[UInt8]] {
        try loadXattrs(try inode(ino)).keys.sorted { $0.lexicographicallyPrecedes($1) }
    }

    func setXattr(
        _ name: [UInt8],
        to value: [UInt8],
        mode: XattrMode,
        clearsSetGroup: Bool,
        of ino: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) {
        let inode = try inode(ino)
        try checkXattr(name, value)
        let isThere = try loadXattrs(inode)[name] != nil
        if mode == .create, isThere {
            throw FileSystemError(
                .exists,
                "inode \(ino.rawValue) has attribute \(String(decoding: name, as: UTF8.self))"
            )
        }
        if mode == .replace, !isThere { throw noAttribute(name, of: ino) }
        let list = try newAccessList(name, value, of: inode)
        let isMode = name == AccessList.accessName && list?.isMode == true
        if !isMode { try checkListRoom(for: name, of: inode) }

        if name == AccessList.accessName, let list {
            var bits = inode.row.attributes.mode & ~0o777 | list.permissions
            if clearsSetGroup { bits &= ~0o2000 }
            inode.row.attributes.mode = bits
        }
        if isMode {
            dropXattr(name, of: inode)
        } else {
            putXattr(name, value, of: inode)
        }
        inode.row.attributes.changed = now
        markDirty(inode)
        changes.operations += 1
    }

    func removeXattr(
        _ name: [UInt8],
        of ino: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) {
        let inode = try inode(ino)
        guard try loadXattrs(inode)[name] != nil else {
            // An inode without a list has the one that its mode is.
            if name == AccessList.accessName || name == AccessList.defaultName { return }
            throw noAttribute(name, of: ino)
        }
        dropXattr(name, of: inode)
        inode.row.attributes.changed = now
        markDirty(inode)
        changes.operations += 1
    }

    // MARK: Access lists

    /// A list that the inode has.
    func accessList(
        _ name: [UInt8],
        of inode: Inode
    ) throws(FileSystemError) -> AccessList? {
        guard inode.row.xattrBytes > 0, let value = try loadXattrs(inode)[name] else { return nil }
        guard let list = AccessList(value) else {
            throw FileSystemError(
                .corrupt,
                "metadata database: inode \(inode.ino.rawValue) has an access list that is none"
            )
        }
        return list
    }

    /// The list that `value` is, if `name` is that of one.
    private func newAccessList(
        _ name: [UInt8],
        _ value: [UInt8],
        of inode: Inode
    ) throws(FileSystemError) -> AccessList? {
        guard name == AccessList.accessName || name == AccessList.defaultName else { return nil }
        guard let list = AccessList(value),
            name == AccessList.accessName ? inode.kind != .symbolicLink : inode.isDirectory
        else {
            throw FileSystemError(.invalid, "no access list for inode \(inode.ino.rawValue)")
        }
        return list
    }

    /// What an inode of `mode` gets from the default list of the directory it is made in.
    struct Inheritance {
        /// The mode that is left: of the list's, or of the umask's making.
        var mode: UInt16
        var lists: [(name: [UInt8], bytes: [UInt8])] = []
    }

    func inheritance(
        of new: NewInode,
        from directory: Inode
    ) throws(FileSystemError) -> Inheritance {
        let mode = new.mode & 0o7777
        guard new.kind != .symbolicLink else { return Inheritance(mode: mode) }
        guard let inherited = try accessList(AccessList.defaultName, of: directory) else {
            return Inheritance(mode: mode & ~(new.umask & 0o777))
        }
        let list = inherited.restricted(to: mode)
        var inheritance = Inheritance(mode: mode & ~0o777 | list.permissions)
        if !list.isMode { inheritance.lists.append((AccessList.accessName, list.bytes)) }
        if new.kind == .directory {
            inheritance.lists.append((AccessList.defaultName, inherited.bytes))
        }
        return inheritance
    }

    // MARK: Second halves: cannot fail

    /// Sets an attribute of an inode whose attributes are in memory.
    func putXattr(_ name: [UInt8], _ value: [UInt8], of inode: Inode) {
        if inode.xattrs?.updateValue(value, forKey: name) == nil {
            inode.row.xattrBytes += UInt64(name.count) + 1
        }
        changes.xattrs[XattrKey(ino: inode.ino, name: name)] = .put(value)
        changes.touched.insert(inode.ino)
    }

    /// Removes an attribute, if it is there, of an inode whose attributes are in memory.
    private func dropXattr(_ name: [UInt8], of inode: Inode) {
        guard inode.xattrs?.removeValue(forKey: name) != nil else { return }
        inode.row.xattrBytes -= min(inode.row.xattrBytes, UInt64(name.count) + 1)
        changes.xattrs[XattrKey(ino: inode.ino, name: name)] = .remove
        changes.touched.insert(inode.ino)
    }

    // MARK: Checks

    private func checkXattr(_ name: [UInt8], _ value: [UInt8]) throws(FileSystemError) {
        guard !name.isEmpty, name.count <= Self.xattrNameBytesMax, !name.contains(0) else {
            throw FileSystemError(
                name.count > Self.xattrNameBytesMax ? .nameTooLong : .invalid,
                "the name of an extended attribute has 1 to \(Self.xattrNameBytesMax) bytes"
            )
        }
        guard value.count <= Self.xattrValueBytesMax else {
            throw FileSystemError(
                .noSpace,
                "an extended attribute has at most \(Self.xattrValueBytesMax) bytes"
            )
        }
    }

    private func checkListRoom(for name: [UInt8], of inode: Inode) throws(FileSystemError) {
        let isThere = try loadXattrs(inode)[name] != nil
        let listBytes = inode.row.xattrBytes + (isThere ? 0 : UInt64(name.count) + 1)
        guard listBytes <= Self.xattrListBytesMax else {
            throw FileSystemError(
                .noSpace,
                "the names of inode \(inode.ino.rawValue)'s extended attributes exceed "
                    + "\(Self.xattrListBytesMax) bytes"
            )
        }
    }

    private func noAttribute(_ name: [UInt8], of ino: InodeNumber) -> FileSystemError {
        FileSystemError(
            .noAttribute,
            "inode \(ino.rawValue) has no attribute \(String(decoding: name, as: UTF8.self))"
        )
    }
}
