import Metadata
import Primitives

/// Whom clones belong to.
package enum CloneOwner: Hashable, Sendable {
    /// Whom their sources belong to: for the superuser.
    case kept
    /// One user, as with files that the user makes: what only the superuser may give is left out.
    case given(uid: UInt32, gid: UInt32)

    /// Name spaces of extended attributes that only the superuser sets.
    private static let privileged = ["security.", "trusted."].map { Array($0.utf8) }

    /// - Throws: `notPermitted` for a device that the owner may not make.
    func applied(to inode: ClonedInode) throws(FileSystemError) -> ClonedInode {
        guard case .given(let uid, let gid) = self else { return inode }
        var given = inode
        let source = inode.attributes
        guard source.kind != .characterDevice, source.kind != .blockDevice else {
            throw FileSystemError(.notPermitted, "only the superuser makes devices")
        }
        if source.uid != uid || source.gid != gid { given.attributes.mode &= ~0o6000 }
        given.attributes.uid = uid
        given.attributes.gid = gid
        given.xattrs = inode.xattrs.filter { name, _ in
            !Self.privileged.contains { name.starts(with: $0) }
        }
        return given
    }
}
