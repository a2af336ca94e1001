import Primitives

extension CheckScan {
    /// Inodes, their names, and what hangs on them; `namesTables` must be there.
    static let names: [CheckScan] = [
        rootAndNumbers, inodeValues, entries, cookies, inodesAndNames, orphans, tree, targets,
        attributes,
    ]

    private static let rootAndNumbers = CheckScan(
        """
        SELECT 'inode 1', 'badInode:the root directory is missing'
        WHERE NOT EXISTS(SELECT 1 FROM inode WHERE ino = 1 AND kind = 2)
        UNION ALL
        SELECT 'meta ' || key, CASE key
            WHEN 'next_inode' THEN CASE
                WHEN typeof(value) <> 'integer' OR value NOT BETWEEN 2 AND \(Bound.number)
                    THEN 'badMeta:' || quote(value) || ' is no inode number'
                WHEN value <= (SELECT MAX(ino) FROM inode)
                    THEN 'badMeta:inode ' || (SELECT MAX(ino) FROM inode)
                        || ' exists, and the next number is ' || value
                END
            WHEN 'clean' THEN CASE WHEN value NOT IN (0, 1)
                THEN 'badMeta:' || quote(value) || ' is neither 0 nor 1' END
            WHEN 'boot_id' THEN CASE WHEN typeof(value) <> 'text'
                THEN 'badMeta:' || quote(value) || ' is no text' END
            ELSE CASE WHEN key LIKE 'repairs\\_%' ESCAPE '\\'
                AND (typeof(value) <> 'integer' OR value < 0)
                THEN 'badMeta:' || quote(value) || ' is no count' END
            END AS wrong
        FROM meta WHERE wrong IS NOT NULL
        UNION ALL
        SELECT 'meta ' || column1, 'badMeta:it is missing'
        FROM (VALUES('next_inode'), ('clean'), ('boot_id'))
        WHERE column1 NOT IN (SELECT key FROM meta)
        """
    )

    /// Values that no program of this format writes, whatever other rows say.
    private static let inodeValues = CheckScan(
        """
        SELECT 'inode ' || ino, CASE
            WHEN ino NOT BETWEEN 1 AND \(Bound.number)
                THEN 'badInode:no inode has such a number'
            WHEN kind NOT BETWEEN 1 AND 7 THEN 'badInode:kind ' || quote(kind)
            WHEN mode NOT BETWEEN 0 AND 4095 THEN 'badInode:mode ' || quote(mode)
            WHEN uid NOT BETWEEN 0 AND 4294967295 OR gid NOT BETWEEN 0 AND 4294967295
                THEN 'badInode:owner ' || quote(uid) || ', group ' || quote(gid)
            WHEN nlink NOT BETWEEN 0 AND 4294967295 THEN 'badInode:nlink ' || quote(nlink)
            WHEN size NOT BETWEEN 0 AND \(Geometry.fileBytesMax)
                THEN 'badInode:size ' || quote(size)
            WHEN atime_ns NOT BETWEEN 0 AND 999999999
                OR mtime_ns NOT BETWEEN 0 AND 999999999
                OR ctime_ns NOT BETWEEN 0 AND 999999999
                OR typeof(atime) <> 'integer' OR typeof(mtime) <> 'integer'
                OR typeof(ctime) <> 'integer' OR typeof(rdev) <> 'integer'
                THEN 'badInode:a time or a device number is none'
            WHEN entries NOT BETWEEN 0 AND \(Bound.number)
                OR xattr_bytes NOT BETWEEN 0 AND \(MetadataState.xattrListBytesMax)
                OR blocks NOT BETWEEN 0 AND \(Bound.blockIndexEnd)
                THEN 'badInode:entries ' || quote(entries) || ', xattr_bytes '
                    || quote(xattr_bytes) || ', blocks ' || quote(blocks)
            WHEN parent NOT BETWEEN (kind = 2) AND CASE kind WHEN 2 THEN \(Bound.number) ELSE 0 END
                THEN 'badInode:parent ' || quote(parent)
            WHEN next_cookie NOT BETWEEN CASE kind WHEN 2 THEN \(InodeRow.firstCookie) ELSE 0 END
                AND CASE kind WHEN 2 THEN \(Bound.number) ELSE 0 END
                THEN 'badInode:next_cookie ' || quote(next_cookie)
            WHEN kind <> 2 AND entries <> 0 THEN 'badInode:entries ' || entries
            WHEN kind <> 1 AND blocks <> 0 THEN 'badInode:blocks ' || blocks
            WHEN kind > 3 AND size <> 0 THEN 'badInode:size ' || size
            WHEN typeof(kind + mode + uid + gid + nlink + size + atime_ns + mtime_ns + ctime_ns
                + entries + xattr_bytes + blocks + parent + next_cookie) <> 'integer'
                THEN 'badInode:a number is not whole'
            END AS wrong
        FROM inode WHERE wrong IS NOT NULL
        """
    )

    private static let entries = CheckScan(
        """
        SELECT 'entry "' || CAST(d.name AS TEXT) || '" of directory ' || d.parent, CASE
            WHEN typeof(d.name) <> 'blob' OR length(d.name) NOT BETWEEN 1 AND \
        \(Geometry.nameBytesMax)
                OR d.name IN (x'2e', x'2e2e')
                OR instr(d.name, x'2f') > 0 OR instr(d.name, x'00') > 0
                THEN 'badName:' || quote(substr(d.name, 1, 64)) || ' is no name'
            WHEN p.ino IS NULL THEN 'entryOutsideDirectory:the directory does not exist'
            WHEN p.kind <> 2 THEN 'entryOutsideDirectory:that is not a directory'
            WHEN p.nlink = 0 THEN 'entryOutsideDirectory:the directory was removed'
            WHEN c.ino IS NULL
                THEN 'danglingEntry:it names inode ' || quote(d.ino) || ', which does not exist'
            WHEN typeof(d.cookie) <> 'integer' OR d.cookie < \(InodeRow.firstCookie)
                OR d.cookie >= p.next_cookie
                THEN 'badCookie:' || quote(d.cookie) || ' is not from \(InodeRow.firstCookie) to '
                    || (p.next_cookie - 1)
            END AS wrong
        FROM dentry d LEFT JOIN inode p ON p.ino = d.parent LEFT JOIN inode c ON c.ino = d.ino
        WHERE wrong IS NOT NULL
        """
    )

    private static let cookies = CheckScan(
        """
        SELECT 'directory ' || parent, 'sharedCookie:' || COUNT(*) || ' entries have cookie '
            || quote(cookie)
        FROM dentry INDEXED BY dentry_cookie GROUP BY parent, cookie HAVING COUNT(*) > 1
        """
    )

    /// Counts of an inode against the rows they count.
    private static let inodesAndNames = CheckScan(
        """
        SELECT 'inode ' || i.ino, CASE
            WHEN i.nlink = 0 AND NOT EXISTS(SELECT 1 FROM orphan o WHERE o.ino = i.ino)
                THEN 'wrongOrphan:it has no name and is not listed as an orphan'
            WHEN i.nlink > 0 AND i.ino <> 1 AND n.names IS NULL
                THEN 'unreachableInode:it counts ' || i.nlink || ' names and has none'
            WHEN i.kind <> 2 AND i.nlink <> coalesce(n.names, 0)
                THEN 'wrongLinkCount:it counts ' || i.nlink || ' names and has ' || n.names
            WHEN i.kind = 2 THEN CASE
                WHEN i.ino = 1 AND (n.names IS NOT NULL OR i.parent <> 1)
                    THEN 'wrongParent:the root directory is inside directory '
                        || coalesce(n.parent, i.parent)
                WHEN i.nlink = 0 AND n.names IS NOT NULL
                    THEN 'wrongLinkCount:it counts as removed and has a name in directory '
                        || n.parent
                WHEN n.names > 1 THEN 'wrongParent:a directory with ' || n.names || ' names'
                WHEN n.parent <> i.parent
                    THEN 'wrongParent:it names directory ' || i.parent
                        || ' as its parent and is in directory ' || n.parent
                ELSE (
                    SELECT CASE
                        WHEN i.entries <> s.entries THEN 'wrongEntryCount:it counts ' || i.entries
                            || ' entries and has ' || s.entries
                        WHEN i.nlink > 0 AND i.nlink <> 2 + s.subdirectories
                            THEN 'wrongLinkCount:it has nlink ' || i.nlink || ' and '
                                || s.subdirectories || ' subdirectories'
                        END
                    FROM (
                        SELECT coalesce(MAX(e.entries), 0) AS entries,
                            CAST(coalesce(MAX(e.subdirectories), 0) AS INTEGER) AS subdirectories
                        FROM check_directories e WHERE e.ino = i.ino
                    ) s
                ) END
            WHEN i.kind = 3 AND NOT EXISTS(SELECT 1 FROM symlink s WHERE s.ino = i.ino)
                THEN 'missingTarget:a symbolic link without a target'
            END AS wrong
        FROM inode i LEFT JOIN check_names n ON n.ino = i.ino WHERE wrong IS NOT NULL
        """
    )

    private static let orphans = CheckScan(
        """
        SELECT 'inode ' || o.ino, CASE
            WHEN i.ino IS NULL THEN 'wrongOrphan:it is listed as an orphan and does not exist'
            WHEN i.nlink > 0 THEN 'wrongOrphan:it is listed as an orphan and counts '
                || i.nlink || ' names'
            END AS wrong
        FROM orphan o LEFT JOIN inode i ON i.ino = o.ino WHERE wrong IS NOT NULL
        """
    )

    /// Directories that no way down from the root leads to: rings, and what hangs on them.
    private static let tree = CheckScan(
        """
        SELECT 'inode ' || c.ino,
            'unreachableInode:no way leads from the root to this directory, which is in directory '
            || c.parent
        FROM check_tree c LEFT JOIN check_reached r ON r.ino = c.ino WHERE r.ino IS NULL
        """
    )

    private static let targets = CheckScan(
        """
        SELECT 'inode ' || s.ino, CASE
            WHEN i.ino IS NULL THEN 'targetOfNobody:the inode does not exist'
            WHEN i.kind <> 3 THEN 'targetOfNobody:it has a target and is no symbolic link'
            WHEN typeof(s.target) <> 'blob' OR length(s.target) NOT BETWEEN 1 AND \
        \(MetadataState.targetBytesMax) OR instr(s.target, x'00') > 0
                THEN 'wrongTarget:' || quote(substr(s.target, 1, 64)) || ' is no target'
            WHEN i.size <> length(s.target)
                THEN 'wrongTarget:it has ' || length(s.target) || ' bytes and size ' || i.size
            END AS wrong
        FROM symlink s LEFT JOIN inode i ON i.ino = s.ino WHERE wrong IS NOT NULL
        """
    )

    private static let attributes = CheckScan(
        """
        SELECT 'inode ' || x.ino, CASE
            WHEN i.ino IS NULL
                THEN 'attributeOfNobody:it has extended attributes and does not exist'
            WHEN x.bad > 0 THEN 'badAttribute:a name or value that no extended attribute has'
            WHEN i.xattr_bytes <> x.bytes THEN 'wrongAttributeBytes:the names of its extended '
                || 'attributes have ' || x.bytes || ' bytes, counted as ' || i.xattr_bytes
            END AS wrong
        FROM (
            SELECT ino, SUM(length(name) + 1) AS bytes, SUM(
                typeof(name) <> 'blob' OR typeof(value) <> 'blob'
                OR length(name) NOT BETWEEN 1 AND \(MetadataState.xattrNameBytesMax)
                OR instr(name, x'00') > 0
                OR length(value) > \(MetadataState.xattrValueBytesMax)
            ) AS bad
            FROM xattr GROUP BY ino
        ) x LEFT JOIN inode i ON i.ino = x.ino WHERE wrong IS NOT NULL
        UNION ALL
        SELECT 'inode ' || ino, 'wrongAttributeBytes:it has no extended attributes, and '
            || xattr_bytes || ' bytes of names are counted'
        FROM inode i
        WHERE xattr_bytes > 0 AND NOT EXISTS(SELECT 1 FROM xattr x WHERE x.ino = i.ino)
        """
    )
}
