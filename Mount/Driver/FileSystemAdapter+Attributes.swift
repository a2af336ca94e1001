package import FUSE
package import Primitives
import Glibc
import Volume

extension FileSystemAdapter {
    /// Inodes that `statfs(2)` calls possible: 2^48, since only the disk sets a limit.
    private static let filesMax: UInt64 = 1 << 48

    package func getAttributes(_ request: consuming Request, of ino: InodeNumber) {
        switch attempt({ () throws(FileSystemError) in try engine.attributes(of: ino) }) {
        case .success(let attributes): request.reply(attributes: attributes)
        case .failure(let error): fail(request, error)
        }
    }

    package func setAttributes(
        _ request: consuming Request,
        _ change: AttributeChange,
        of ino: InodeNumber,
        killsPrivileges: Bool
    ) {
        let engine = engine
        let strips = killsPrivileges || Self.changesOwner(change)
        serve(request, on: dataLane) { wait throws(FileSystemError) in
            var change = change
            if strips { try engine.stripPrivileges(of: ino, in: &change) }
            return try engine.setAttributes(change, of: ino, wait: wait)
        } reply: { request, attributes in
            request.reply(attributes: attributes)
        }
    }

    /// Whether the request comes from `chown(2)`, which takes set-id bits away whoever calls it.
    ///
    /// One to the present owner and group (-1, -1) arrives with nothing but a new change time;
    /// nothing else does.
    private static func changesOwner(_ change: AttributeChange) -> Bool {
        if change.uid != nil || change.gid != nil { return true }
        var rest = change
        rest.changed = nil
        return rest == AttributeChange()
    }

    package func statistics(_ request: consuming Request) {
        let engine = engine
        // The figures come from the providers' directory, perhaps over the network.
        serveWaiting(request, on: dataLane) { _ throws(FileSystemError) in
            try engine.statistics()
        } reply: { request, statistics in
            request.reply(
                space: FileSystemSpace(
                    totalBytes: statistics.totalBytes,
                    freeBytes: statistics.freeBytes,
                    fileCount: statistics.fileCount,
                    filesMax: Self.filesMax
                )
            )
        }
    }
}

extension VolumeEngine {
    private static let setUserID: UInt16 = 0o4000
    private static let setGroupID: UInt16 = 0o2000
    private static let groupExecute: UInt16 = 0o010

    /// Adds to `change` that the set-id bits go, as the kernel would have it.
    ///
    /// Set-group-id stays without group execution, where it means something else. File
    /// capabilities are removed by the kernel itself, as an extended attribute.
    func stripPrivileges(
        of ino: InodeNumber,
        in change: inout AttributeChange
    ) throws(FileSystemError) {
        guard change.mode == nil else { return }
        let attributes = try attributes(of: ino)
        guard attributes.kind != .directory else { return }
        var mode = attributes.mode & ~Self.setUserID
        if mode & Self.groupExecute != 0 { mode &= ~Self.setGroupID }
        if mode != attributes.mode { change.mode = mode }
    }

    /// Takes the set-id bits of a file away, if there are any.
    func stripPrivileges(of ino: InodeNumber) throws(FileSystemError) {
        var change = AttributeChange()
        try stripPrivileges(of: ino, in: &change)
        if change.mode != nil { _ = try setAttributes(change, of: ino, wait: .allowed) }
    }
}
