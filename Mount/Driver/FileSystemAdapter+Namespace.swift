package import FUSE
package import Primitives
import Glibc
import Volume

extension FileSystemAdapter {
    private static let dot = [UInt8(ascii: ".")]
    private static let dotDot = [UInt8(ascii: "."), UInt8(ascii: ".")]

    package func lookup(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        switch attempt({ () throws(FileSystemError) in try find(name, in: parent) }) {
        case .success(let attributes): reply(request, entry: attributes)
        case .failure(let error) where error.code == .notFound && !Self.isDots(name):
            request.replyNoEntry()
        case .failure(let error): fail(request, error)
        }
    }

    /// The kernel asks for "." and ".." to turn the inode number of a file handle into an inode.
    private func find(
        _ name: [UInt8],
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes {
        if name == Self.dot { return try engine.attributes(of: parent) }
        if name == Self.dotDot {
            return try engine.attributes(of: try engine.parent(of: parent))
        }
        return try engine.lookup(try entryName(name), in: parent)
    }

    private static func isDots(_ name: [UInt8]) -> Bool { name == dot || name == dotDot }

    package func forget(_ ino: InodeNumber, count: UInt64) {
        engine.forget(ino, count: count)
    }

    package func readLink(_ request: consuming Request, _ ino: InodeNumber) {
        switch attempt({ () throws(FileSystemError) in try engine.readLink(ino) }) {
        case .success(let target):
            engine.noteRead(ino, policy: accessTimes)
            request.reply(target: target)
        case .failure(let error): fail(request, error)
        }
    }

    package func make(
        _ request: consuming Request,
        _ new: NewInode,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        let made = attempt { () throws(FileSystemError) in
            try engine.create(new, named: try entryName(name), in: parent)
        }
        switch made {
        case .success(let attributes): reply(request, entry: attributes)
        case .failure(let error): fail(request, error)
        }
    }

    package func link(
        _ request: consuming Request,
        _ ino: InodeNumber,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        let linked = attempt { () throws(FileSystemError) in
            try engine.link(ino, as: try entryName(name), in: parent)
        }
        switch linked {
        case .success(let attributes): reply(request, entry: attributes)
        case .failure(let error): fail(request, error)
        }
    }

    package func unlink(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        done(request) { () throws(FileSystemError) in
            try engine.unlink(try entryName(name), in: parent)
        }
    }

    package func removeDirectory(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        done(request) { () throws(FileSystemError) in
            try engine.removeDirectory(try entryName(name), in: parent)
        }
    }

    package func rename(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber,
        to newName: [UInt8],
        in newParent: InodeNumber,
        mode: RenameMode?,
        whiteout: NewInode?
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        let engine = engine
        serve(request, on: syncLane) { [self] wait throws(FileSystemError) in
            guard let mode else {
                throw FileSystemError(.invalid, "a way of renaming that is not known")
            }
            try engine.rename(
                try entryName(name),
                in: parent,
                to: try entryName(newName),
                in: newParent,
                mode: mode,
                whiteout: whiteout,
                wait: wait
            )
        } reply: { request, _ in
            request.done()
        }
    }

    /// Gives the kernel a reference to the inode, taken back if the reply did not reach it.
    func reply(_ request: consuming Request, entry attributes: Attributes) {
        engine.retain(attributes.ino)
        if !request.reply(entry: attributes) { engine.forget(attributes.ino, count: 1) }
    }
}
