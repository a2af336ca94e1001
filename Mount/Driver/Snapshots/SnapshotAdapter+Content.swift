package import FUSE
package import Primitives
import Glibc
import Volume

extension SnapshotAdapter {
    // MARK: Reading

    package func open(_ request: consuming Request, _ ino: InodeNumber, how: OpenRequest) {
        guard !how.isForWriting, !how.truncates else { return refuse(request) }
        serve(request, of: ino) { [self] wait throws(FileSystemError) in
            let place = try place(ino, wait)
            _ = try stale { () throws(FileSystemError) in
                try place.tree.attributes(of: place.ino)
            }
        } reply: { request, _ in
            // What the kernel has of the file stays true for ever.
            _ = request.replyOpened(forWriting: false, .requests(keepsPages: true))
        }
    }

    package func release(_ request: consuming Request, _ ino: InodeNumber, _ handle: OpenHandle) {
        request.done()
    }

    package func read(
        _ request: consuming Request,
        _ ino: InodeNumber,
        offset: UInt64,
        count: Int
    ) {
        serve(request, of: ino) { [self] wait throws(FileSystemError) in
            let place = try place(ino, wait)
            let buffer = ReadBuffer(byteCount: count)
            let got = try place.tree.read(place.ino, offset: offset, into: buffer.bytes, wait: wait)
            return (buffer, got)
        } reply: { request, answer in
            request.reply(bytes: answer.0.prefix(answer.1))
        }
    }

    /// Looks for data or a hole, on the lane: of a large file that takes many looks.
    package func seek(
        _ request: consuming Request,
        _ ino: InodeNumber,
        from offset: UInt64,
        to target: SeekKind
    ) {
        serveWaiting(request, of: ino) { [self] wait throws(FileSystemError) in
            let place = try place(ino, wait)
            return try place.tree.seek(
                place.ino,
                from: offset,
                to: target == .data ? .data : .hole
            )
        } reply: { request, offset in
            request.reply(offset: offset)
        }
    }

    package func readLink(_ request: consuming Request, _ ino: InodeNumber) {
        serve(request, of: ino) { [self] wait throws(FileSystemError) in
            let place = try place(ino, wait)
            return try place.tree.readLink(place.ino)
        } reply: { request, target in
            request.reply(target: target)
        }
    }

    package func statistics(_ request: consuming Request) {
        // Only of a mount that is one snapshot; else the live volume answers.
        serveWaiting(request, of: .root) { [self] wait throws(FileSystemError) in
            try place(.root, wait).tree.statistics()
        } reply: { request, statistics in
            request.reply(
                space: FileSystemSpace(
                    totalBytes: statistics.totalBytes,
                    freeBytes: 0,
                    fileCount: statistics.fileCount,
                    filesMax: statistics.fileCount
                )
            )
        }
    }

    // MARK: Extended attributes

    package func getExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        if name == FileSystemAdapter.controlName {
            return reply(request, value: controlPath, bytesMax: bytesMax)
        }
        let hasNone = hasNoAttributes(ino)
        serve(request, of: ino) { [self] wait throws(FileSystemError) in
            try FileSystemAdapter.check(name)
            guard !hasNone else {
                throw FileSystemError(.noAttribute, "the directories of snapshots have none")
            }
            let place = try place(ino, wait)
            return try place.tree.extendedAttribute(name, of: place.ino)
        } reply: { [self] request, value in
            reply(request, value: value, bytesMax: bytesMax)
        }
    }

    package func listExtendedAttributes(
        _ request: consuming Request,
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        guard !hasNoAttributes(ino) else { return reply(request, value: [], bytesMax: bytesMax) }
        serve(request, of: ino) { [self] wait throws(FileSystemError) in
            let place = try place(ino, wait)
            return try place.tree.extendedAttributes(of: place.ino)
        } reply: { [self] request, names in
            reply(request, attributeNames: names, bytesMax: bytesMax)
        }
    }

    /// Whether an inode is of a directory that no volume has, or the root of a tree that nobody has
    /// looked into: `ls -l` asks for the access list of each.
    private func hasNoAttributes(_ ino: InodeNumber) -> Bool {
        guard case .live = root else { return false }
        switch SnapshotInode(ino) {
        case .hidden?, .list?: return true
        case .inode(let number, .root)?:
            guard let version = numbers.version(of: number) else { return false }
            return trees.rootAttributes(of: version) == nil
        default: return false
        }
    }
}
