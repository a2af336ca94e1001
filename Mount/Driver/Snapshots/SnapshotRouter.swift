package import FUSE
package import Primitives
package import Volume
import Glibc

/// A volume with its snapshots below `.mefs`: each request goes to the live volume or to the
/// snapshots, as the inode number says.
///
/// The live volume pays one comparison for it, and one of names where something is looked up or
/// made in the root. There `.mefs` is found but not listed; to make, remove or rename it fails with
/// EPERM.
package final class SnapshotRouter: Operations {
    let live: any Operations
    let snapshots: SnapshotAdapter

    /// `hasPlace` must say yes of the volume.
    package init(live: any Operations, snapshots: SnapshotAdapter) {
        self.live = live
        self.snapshots = snapshots
    }

    /// Whether the live root has no entry where the snapshots would be: that one would be hidden.
    package static func hasPlace(in engine: VolumeEngine) throws(FileSystemError) -> Bool {
        try hasPlace { name throws(FileSystemError) in _ = try engine.lookup(name, in: .root) }
    }

    /// The same of a root in which `lookup` finds names, or throws `notFound`.
    static func hasPlace(
        _ lookup: (EntryName) throws(FileSystemError) -> Void
    ) throws(FileSystemError) -> Bool {
        guard let name = try? EntryName(SnapshotAdapter.hiddenName) else { return false }
        do throws(FileSystemError) {
            try lookup(name)
            return false
        } catch {
            guard error.code == .notFound else { throw error }
            return true
        }
    }

    package func started() { live.started() }

    static func isHidden(_ name: [UInt8], in parent: InodeNumber) -> Bool {
        parent == .root && name == SnapshotAdapter.hiddenName
    }

    func isSnapshot(_ ino: InodeNumber) -> Bool { SnapshotInode.contains(ino) }

    // MARK: Names

    package func lookup(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard isSnapshot(parent) else {
            guard !Self.isHidden(name, in: parent) else {
                return snapshots.reply(request, directory: .hidden)
            }
            return live.lookup(request, name: name, in: parent)
        }
        // Only the kernel asks so, for a file handle.
        if SnapshotInode(parent) == .hidden, name == Array("..".utf8) {
            return live.lookup(request, name: Array(".".utf8), in: .root)
        }
        snapshots.lookup(request, name: name, in: parent)
    }

    package func forget(_ ino: InodeNumber, count: UInt64) {
        if !isSnapshot(ino) { live.forget(ino, count: count) }
    }

    package func make(
        _ request: consuming Request,
        _ new: NewInode,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard !isSnapshot(parent) else { return snapshots.refuse(request) }
        guard !Self.isHidden(name, in: parent) else { return request.fail(EPERM) }
        live.make(request, new, name: name, in: parent)
    }

    /// Between a snapshot and the live volume it is as between filesystems.
    package func link(
        _ request: consuming Request,
        _ ino: InodeNumber,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard !isSnapshot(parent) else { return snapshots.refuse(request) }
        guard !Self.isHidden(name, in: parent) else { return request.fail(EPERM) }
        guard !isSnapshot(ino) else { return request.fail(EXDEV) }
        live.link(request, ino, name: name, in: parent)
    }

    package func unlink(_ request: consuming Request, name: [UInt8], in parent: InodeNumber) {
        guard !isSnapshot(parent) else { return snapshots.refuse(request) }
        guard !Self.isHidden(name, in: parent) else { return request.fail(EPERM) }
        live.unlink(request, name: name, in: parent)
    }

    package func removeDirectory(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        guard !isSnapshot(parent) else { return snapshots.refuse(request) }
        guard !Self.isHidden(name, in: parent) else { return request.fail(EPERM) }
        live.removeDirectory(request, name: name, in: parent)
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
        guard !isSnapshot(parent), !isSnapshot(newParent) else { return snapshots.refuse(request) }
        guard !Self.isHidden(name, in: parent), !Self.isHidden(newName, in: newParent) else {
            return request.fail(EPERM)
        }
        live.rename(
            request,
            name: name,
            in: parent,
            to: newName,
            in: newParent,
            mode: mode,
            whiteout: whiteout
        )
    }

    package func readLink(_ request: consuming Request, _ ino: InodeNumber) {
        guard !isSnapshot(ino) else { return snapshots.readLink(request, ino) }
        live.readLink(request, ino)
    }

    package func readDirectory(
        _ request: consuming Request,
        _ ino: InodeNumber,
        after cookie: UInt64,
        listing: consuming DirectoryListing
    ) {
        guard !isSnapshot(ino) else {
            return snapshots.readDirectory(request, ino, after: cookie, listing: listing)
        }
        live.readDirectory(request, ino, after: cookie, listing: listing)
    }

    package func syncDirectory(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool) {
        guard !isSnapshot(ino) else { return request.done() }
        live.syncDirectory(request, ino, dataOnly: dataOnly)
    }

    /// The kernel does not say where it was asked: the figures are those of the live volume.
    package func statistics(_ request: consuming Request) { live.statistics(request) }
}
