package import FUSE
package import Primitives
import Control
import Glibc
import Volume

extension FollowAdapter {
    private static let dot = [UInt8(ascii: ".")]
    private static let dotDot = [UInt8(ascii: "."), UInt8(ascii: ".")]
    /// Where the bytes of a file are that a head tells of.
    private static let stateName = Array(MountLocator.stateAttribute.utf8)
    private static let placed = Array("placed".utf8)

    // MARK: Names and attributes

    package func lookup(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard !showsOwn else { return live.lookup(request, name: name, in: parent) }
        // In a directory that is gone nothing is found.
        let found = attempt { () throws(FileSystemError) in
            try find(name, in: parent, of: try trees.tree(of: parent))
        }
        switch found {
        case .success(let attributes):
            inodes.retain(attributes.ino)
            if !request.reply(entry: attributes) { inodes.forget(attributes.ino, count: 1) }
        case .failure(let error) where error.code == .notFound: request.replyNoEntry()
        case .failure(let error): fail(request, error)
        }
    }

    private func find(
        _ name: [UInt8],
        in parent: InodeNumber,
        of tree: SnapshotTree
    ) throws(FileSystemError) -> Attributes {
        switch name {
        // By a handle the kernel asks for the inode itself.
        case Self.dot:
            try stale { () throws(FileSystemError) in try tree.attributes(of: parent) }
        case Self.dotDot:
            try stale { () throws(FileSystemError) in
                try tree.attributes(of: try tree.parent(of: parent))
            }
        default: try tree.lookup(try entryName(name), in: parent)
        }
    }

    package func forget(_ ino: InodeNumber, count: UInt64) {
        // Entries of the own state that are given back after a head is shown are not counted: the
        // engine knows some inodes for longer then.
        if showsOwn { live.forget(ino, count: count) } else { inodes.forget(ino, count: count) }
    }

    package func getAttributes(_ request: consuming Request, of ino: InodeNumber) {
        guard !isOwn(ino) else { return live.getAttributes(request, of: ino) }
        let found = attempt { () throws(FileSystemError) in
            try stale { () throws(FileSystemError) in
                try trees.tree(of: ino).attributes(of: ino)
            }
        }
        switch found {
        case .success(let attributes): request.reply(attributes: attributes)
        case .failure(let error): fail(request, error)
        }
    }

    /// Whether this machine's own state tells of an inode: none other is shown, or the file is open
    /// from when that was so and is in no head.
    private func isOwn(_ ino: InodeNumber) -> Bool {
        guard let tree = trees.current else { return true }
        guard isOpenAsOwn(ino) else { return false }
        do throws(FileSystemError) {
            _ = try tree.attributes(of: ino)
            return false
        } catch {
            return error.code == .notFound
        }
    }

    package func readLink(_ request: consuming Request, _ ino: InodeNumber) {
        guard !showsOwn else { return live.readLink(request, ino) }
        let target = attempt { () throws(FileSystemError) in
            try stale { () throws(FileSystemError) in try trees.tree(of: ino).readLink(ino) }
        }
        switch target {
        case .success(let target): request.reply(target: target)
        case .failure(let error): fail(request, error)
        }
    }

    package func statistics(_ request: consuming Request) {
        guard let tree = trees.current else { return live.statistics(request) }
        // The first of each tree counts its inodes.
        serve(request, of: .root) { [live] _, wait throws(FileSystemError) in
            guard wait == .allowed else { throw FileSystemError(.wouldWait, "would wait") }
            // What the providers have, as on the machine that writes, but files are counted here.
            let space = try live.engine.statistics()
            let files = try tree.statistics().fileCount
            return FileSystemSpace(
                totalBytes: space.totalBytes,
                freeBytes: space.freeBytes,
                fileCount: files,
                filesMax: files
            )
        } reply: { request, space in
            request.reply(space: space)
        }
    }

    package func readDirectory(
        _ request: consuming Request,
        _ ino: InodeNumber,
        after cookie: UInt64,
        listing: consuming DirectoryListing
    ) {
        guard !showsOwn else {
            return live.readDirectory(request, ino, after: cookie, listing: listing)
        }
        var listing = listing
        let referenced: [InodeNumber]
        do throws(FileSystemError) {
            let tree = try trees.tree(of: ino)
            referenced = try listing.fill(with: ino, after: cookie) {
                () throws(FileSystemError) in
                try tree.parent(of: ino)
            } entries: { cookie, limit throws(FileSystemError) in
                try tree.readDirectory(ino, after: cookie, limit: limit)
            }
        } catch {
            return fail(request, error)
        }
        for ino in referenced { inodes.retain(ino) }
        if !request.reply(listing: listing) {
            for ino in referenced { inodes.forget(ino, count: 1) }
        }
    }

    // MARK: Reading

    package func open(_ request: consuming Request, _ ino: InodeNumber, how: OpenRequest) {
        guard !how.isForWriting, !how.truncates else { return refuse(request) }
        let isOwn = showsOwn
        let opened = attempt { () throws(FileSystemError) in
            guard isOwn else { return try trees.open(ino) }
            try stale { () throws(FileSystemError) in
                try live.engine.open(ino, forWriting: false, truncate: false, wait: .never)
            }
            noteOwnOpening(of: ino)
        }
        switch opened {
        case .success:
            // Pages are dropped when a head changes them.
            guard !request.replyOpened(forWriting: false, .requests(keepsPages: true)) else {
                return
            }
            closed(ino)
        case .failure(let error): fail(request, error)
        }
    }

    package func release(_ request: consuming Request, _ ino: InodeNumber, _ handle: OpenHandle) {
        closed(ino)
        request.done()
    }

    private func closed(_ ino: InodeNumber) {
        if endOwnOpening(of: ino) {
            live.engine.release(ino, forWriting: false)
        } else {
            trees.close(ino)
        }
    }

    package func read(
        _ request: consuming Request,
        _ ino: InodeNumber,
        offset: UInt64,
        count: Int
    ) {
        guard !isOwn(ino) else {
            return live.read(request, ino, offset: offset, count: count)
        }
        serve(request, of: ino) { [self] tree, wait throws(FileSystemError) in
            let buffer = ReadBuffer(byteCount: count)
            let got = try stale { () throws(FileSystemError) in
                try tree.read(ino, offset: offset, into: buffer.bytes, wait: wait)
            }
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
        guard !isOwn(ino) else { return live.seek(request, ino, from: offset, to: target) }
        serve(request, of: ino) { tree, wait throws(FileSystemError) in
            guard wait == .allowed else { throw FileSystemError(.wouldWait, "would wait") }
            return try tree.seek(ino, from: offset, to: target == .data ? .data : .hole)
        } reply: { request, offset in
            request.reply(offset: offset)
        }
    }

    // MARK: Extended attributes

    package func getExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        guard name != FileSystemAdapter.controlName, !isOwn(ino) else {
            return live.getExtendedAttribute(request, name, of: ino, bytesMax: bytesMax)
        }
        let value = attempt { () throws(FileSystemError) in
            try FileSystemAdapter.check(name)
            return try stale { () throws(FileSystemError) in
                let tree = try trees.tree(of: ino)
                if name == Self.stateName, try tree.attributes(of: ino).kind == .regular {
                    return Self.placed
                }
                return try tree.extendedAttribute(name, of: ino)
            }
        }
        switch value {
        case .success(let value): reply(request, value: value, bytesMax: bytesMax)
        case .failure(let error): fail(request, error)
        }
    }

    package func listExtendedAttributes(
        _ request: consuming Request,
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        guard !isOwn(ino) else {
            return live.listExtendedAttributes(request, of: ino, bytesMax: bytesMax)
        }
        let names = attempt { () throws(FileSystemError) in
            try stale { () throws(FileSystemError) in
                try trees.tree(of: ino).extendedAttributes(of: ino)
            }
        }
        switch names {
        case .success(let names): reply(request, attributeNames: names, bytesMax: bytesMax)
        case .failure(let error): fail(request, error)
        }
    }
}
