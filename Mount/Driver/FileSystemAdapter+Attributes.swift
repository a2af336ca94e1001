package import FUSE
package import Primitives
import Glibc
import Volume

extension FileSystemAdapter {
    /// Inodes that `statfs(2)` calls possible: 2^48, since only the disk sets a limit.
    private static let filesMax: UInt64 = 1 << 48

    package func getAttributes(_ request: consuming Request, of ino: InodeNumber) {
        switch attempt({ () throws(FileSystemError) in try engine.attributes(of: ino) }) {
        case .success(let attributes):
            request.reply(attributes: attributes, mayChange: engine.mayChangeUnseen(ino))
        case .failure(let error): fail(request, error)
        }
    }

    package func setAttributes(
        _ request: consuming Request,
        _ change: AttributeChange,
        of ino: InodeNumber,
        killsPrivileges: Bool
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        let engine = engine
        let caller = request.caller
        let emptyMeans = meaningOfEmptyChange(of: ino, by: caller)
        serve(request, on: dataLane) { wait throws(FileSystemError) in
            var change = change
            let cause = try engine.cause(of: change, of: ino, ifEmpty: emptyMeans)
            if killsPrivileges || cause != .other {
                let names = change.uid != nil || change.gid != nil
                try engine.stripPrivileges(of: ino, in: &change, by: caller)
                if cause == .chown, !names, change.mode != nil {
                    try engine.checkOwner(of: ino, is: caller)
                }
            }
            return try engine.setAttributes(change, of: ino, wait: wait)
        } reply: { request, attributes in
            request.reply(attributes: attributes, mayChange: engine.mayChangeUnseen(ino))
        }
    }

    /// What a request that changes nothing of a regular file comes from.
    ///
    /// With its write-back cache, which excludes passthrough, the kernel tells of `chown(2)` to the
    /// present owner by a change time, and of privileges that a write takes away with the write.
    /// Without, both send nothing; only of a file that somebody has open for writing can it be a
    /// write. One that took file capabilities away, of somebody whose writes leave set-id bits,
    /// leaves them.
    private func meaningOfEmptyChange(of ino: InodeNumber, by caller: Caller) -> AttributeCause {
        guard session?.takesBackingFiles ?? false else { return .other }
        let hasLostCapabilities = writers.takeLostCapabilities(of: ino)
        guard writers.contains(ino) else { return .chown }
        return hasLostCapabilities && caller.has(.fsetid) ? .other : .write
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

/// What has the kernel change attributes, as far as set-id bits go with it.
enum AttributeCause {
    case chown
    /// A write, cut or `fallocate` by somebody whose writes take them away.
    case write
    case other
}

extension VolumeEngine {
    private static let setUserID: UInt16 = 0o4000
    private static let setGroupID: UInt16 = 0o2000
    private static let groupExecute: UInt16 = 0o010

    /// What the request comes from: `chown(2)` takes set-id bits away whoever calls it.
    ///
    /// One to the present owner and group (-1, -1) arrives with nothing but, perhaps, a new change
    /// time.
    func cause(
        of change: AttributeChange,
        of ino: InodeNumber,
        ifEmpty emptyMeans: AttributeCause
    ) throws(FileSystemError) -> AttributeCause {
        if change.uid != nil || change.gid != nil { return .chown }
        var rest = change
        rest.changed = nil
        guard rest == AttributeChange() else { return .other }
        if change.changed != nil { return .chown }
        return try attributes(of: ino).kind == .regular ? emptyMeans : .chown
    }

    /// Refuses a caller who may not change the mode: the kernel lets `chown(2)` to nobody else (-1,
    /// -1) through from anybody, and leaves the set-id bits to us.
    func checkOwner(of ino: InodeNumber, is caller: Caller) throws(FileSystemError) {
        guard try attributes(of: ino).uid != caller.uid, !caller.has(.fowner) else { return }
        throw FileSystemError(.notPermitted, "only the owner may take set-id bits away by chown")
    }

    /// Adds to `change` that the set-id bits go, as the kernel would have it
    /// (`setattr_should_drop_sgid`).
    ///
    /// Set-group-id without group execution, where it means something else, stays if the caller is
    /// of the group. File capabilities are removed by the kernel itself, as an extended attribute.
    func stripPrivileges(
        of ino: InodeNumber,
        in change: inout AttributeChange,
        by caller: Caller
    ) throws(FileSystemError) {
        guard change.mode == nil else { return }
        let attributes = try attributes(of: ino)
        guard attributes.kind != .directory else { return }
        var mode = attributes.mode & ~Self.setUserID
        if mode & Self.setGroupID != 0 {
            let stays =
                mode & Self.groupExecute == 0
                && (caller.isMember(of: attributes.gid) || caller.has(.fsetid))
            if !stays { mode &= ~Self.setGroupID }
        }
        if mode != attributes.mode { change.mode = mode }
    }

    /// Takes the set-id bits of a file away if `caller` may not keep them, for requests that do not
    /// say so themselves (fallocate, copy_file_range).
    func checkPrivileges(of ino: InodeNumber, changedBy caller: Caller) throws(FileSystemError) {
        let mode = try attributes(of: ino).mode
        guard mode & (Self.setUserID | Self.setGroupID) != 0, !caller.has(.fsetid) else { return }
        try stripPrivileges(of: ino, by: caller)
    }

    /// Takes the set-id bits of a file away, if there are any.
    func stripPrivileges(of ino: InodeNumber, by caller: Caller) throws(FileSystemError) {
        var change = AttributeChange()
        try stripPrivileges(of: ino, in: &change, by: caller)
        if change.mode != nil { _ = try setAttributes(change, of: ino, wait: .allowed) }
    }
}
