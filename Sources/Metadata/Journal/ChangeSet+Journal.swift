import Primitives
import SQLite
import Wire

extension ChangeSet {
    /// Whether the set changes what a user would miss: a name, an attribute, content.
    ///
    /// What happens to stripes alone is told with the next such change: how shards moved, and what
    /// became of the stripes that hold checkpoints.
    var isSubstantial: Bool {
        !inodes.isEmpty || !entries.isEmpty || !orphans.isEmpty || !targets.isEmpty
            || !fileKeys.isEmpty || !xattrs.isEmpty || !blocks.isEmpty || !reaped.isEmpty
            || !texts.isEmpty || !snapshots.isEmpty
    }

    /// The set as records of the journal; empty if it tells of this host alone.
    var journal: [UInt8] {
        var writer = ByteWriter(capacity: 256)
        writeNamespace(to: &writer)
        writeContent(to: &writer)
        writeStripes(to: &writer)
        writeRemovals(to: &writer)
        if let nextInode {
            let values: [Value] = [.text(MetaKey.nextInode), .integer(Int64(nextInode))]
            JournalRecord(.meta, .put, values).write(to: &writer)
        }
        for (key, number) in numbers {
            JournalRecord(.meta, .put, [.text(key), .integer(number)]).write(to: &writer)
        }
        for (key, text) in texts {
            JournalRecord(.meta, .put, [.text(key), .text(text)]).write(to: &writer)
        }
        return writer.bytes
    }

    private func writeNamespace(to writer: inout ByteWriter) {
        for (key, edit) in entries {
            let place: [Value] = [key.parent.value, .blob(key.name.bytes)]
            switch edit {
            case .put(let child):
                let target: [Value] = [child.ino.value, .integer(Int64(child.cookie))]
                JournalRecord(.dentry, .put, place + target).write(to: &writer)
            case .remove: JournalRecord(.dentry, .remove, place).write(to: &writer)
            }
        }
        for row in inodes { JournalRecord(.inode, .put, row.values).write(to: &writer) }
        for (ino, target) in targets {
            JournalRecord(.symlink, .put, [ino.value, .blob(target)]).write(to: &writer)
        }
        for (key, edit) in xattrs {
            let place: [Value] = [key.ino.value, .blob(key.name)]
            switch edit {
            case .put(let value):
                JournalRecord(.xattr, .put, place + [.blob(value)]).write(to: &writer)
            case .remove: JournalRecord(.xattr, .remove, place).write(to: &writer)
            }
        }
        for (ino, isOrphan) in orphans {
            JournalRecord(.orphan, isOrphan ? .put : .remove, [ino.value]).write(to: &writer)
        }
    }

    private func writeContent(to writer: inout ByteWriter) {
        for (ino, wrapped) in fileKeys {
            JournalRecord(.fileKey, .put, [ino.value, .blob(wrapped)]).write(to: &writer)
        }
        for (key, edit) in blocks {
            let place: [Value] = [key.ino.value, .integer(Int64(key.index.rawValue))]
            switch edit {
            case .put(let location):
                JournalRecord(.block, .put, place + location.values).write(to: &writer)
            case .remove: JournalRecord(.block, .remove, place).write(to: &writer)
            }
        }
    }

    private func writeStripes(to writer: inout ByteWriter) {
        for stripe in stripes { JournalRecord(.stripe, .put, stripe.values).write(to: &writer) }
        for (id, records) in shards {
            for shard in records {
                let values: [Value] = [
                    .blob(id.bytes), .integer(Int64(shard.index)), .blob(shard.shard.bytes),
                    .blob(shard.provider.bytes), .blob(shard.root.bytes),
                ]
                JournalRecord(.shard, .put, values).write(to: &writer)
            }
        }
        for (version, edit) in snapshots {
            switch edit {
            case .put(let row): JournalRecord(.snapshot, .put, row.values).write(to: &writer)
            case .remove:
                let key = Value.integer(Int64(clamping: version))
                JournalRecord(.snapshot, .remove, [key]).write(to: &writer)
            }
        }
    }

    private func writeRemovals(to writer: inout ByteWriter) {
        for shard in forgottenShards {
            let key: [Value] = [
                .blob(shard.stripe.bytes), .integer(Int64(shard.record.index)),
            ]
            JournalRecord(.shard, .remove, key).write(to: &writer)
        }
        for id in removedStripes {
            JournalRecord(.shard, .removeAll, [.blob(id.bytes)]).write(to: &writer)
            JournalRecord(.stripe, .remove, [.blob(id.bytes)]).write(to: &writer)
        }
        for (ino, kind) in reaped {
            JournalRecord(.inode, .remove, [ino.value]).write(to: &writer)
            JournalRecord(.orphan, .remove, [ino.value]).write(to: &writer)
            JournalRecord(.xattr, .removeAll, [ino.value]).write(to: &writer)
            switch kind {
            case .regular:
                JournalRecord(.fileKey, .remove, [ino.value]).write(to: &writer)
                JournalRecord(.block, .removeAll, [ino.value]).write(to: &writer)
            case .symbolicLink:
                JournalRecord(.symlink, .remove, [ino.value]).write(to: &writer)
            default: break
            }
        }
    }
}

extension InodeNumber {
    fileprivate var value: Value { .integer(Int64(rawValue)) }
}

extension BlockLocation {
    /// As the columns of a row hold it, from `stripe` on.
    var values: [Value] {
        [
            .blob(stripe.bytes), .integer(Int64(offset)), .integer(Int64(plainBytes)),
            .integer(Int64(validBytes)), .blob(encodedSegments),
            checksum.map { .integer(Int64(bitPattern: $0)) } ?? .null,
        ]
    }
}
