import Disk
import Glibc
import Primitives
import Volume

/// The files of a mounted volume, read as any program reads them.
struct MountedTree: LiveTree {
    let mountPoint: String

    func file(at path: [EntryName]) -> (any LiveFile)? {
        var text = mountPoint
        for name in path {
            let part = String(decoding: name.bytes, as: UTF8.self)
            // Such a name cannot be opened by a path that is text.
            guard Array(part.utf8) == name.bytes else { return nil }
            text += "/" + part
        }
        let opened = try? Descriptor(opening: text, .readOnly, [.noFollow, .nonBlocking])
        return opened.map { MountedFile(descriptor: $0) }
    }

    /// How far the volume is by now.
    struct Changes {
        /// When anything changed last.
        var newest = Timestamp.epoch
        /// Entries that were changed after what was asked about.
        var count = 0
        /// Entries looked at.
        var seen = 0
        /// Whether there are more than were looked at.
        var isCut = false
    }

    /// Entries looked at, at most; some seconds.
    private static let entriesMax = 200_000

    /// What was changed after `time`, by walking over the tree.
    func changes(after time: Timestamp) -> Changes {
        var changes = Changes()
        var directories = [mountPoint]
        look(at: mountPoint, after: time, &changes)
        while let directory = directories.popLast() {
            let names = (try? Directory.list(directory)) ?? []
            for name in names where !(directory == mountPoint && name == ".mefs") {
                guard changes.seen < Self.entriesMax else {
                    changes.isCut = true
                    return changes
                }
                let path = directory + "/" + name
                if look(at: path, after: time, &changes) { directories.append(path) }
            }
        }
        return changes
    }

    /// Notes an entry; whether it is a directory.
    @discardableResult
    private func look(at path: String, after time: Timestamp, _ changes: inout Changes) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0 else { return false }
        let changed = Timestamp(
            seconds: Int64(status.st_ctim.tv_sec),
            nanoseconds: UInt32(clamping: status.st_ctim.tv_nsec)
        )
        changes.seen += 1
        changes.newest = max(changes.newest, changed)
        if changed > time { changes.count += 1 }
        return status.st_mode & S_IFMT == S_IFDIR
    }
}

/// A file of a mounted volume.
private struct MountedFile: LiveFile {
    let descriptor: Descriptor

    var state: LiveFileState? {
        (try? descriptor.stamp()).map { LiveFileState(size: $0.size, modified: $0.modified) }
    }

    func read(at offset: UInt64, count: Int) -> [UInt8]? {
        try? descriptor.read(at: offset, count: count)
    }
}
