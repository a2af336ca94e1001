package import FUSE
package import Primitives
import Glibc

extension SnapshotRouter {
    // MARK: Attributes

    package func getAttributes(_ request: consuming Request, of ino: InodeNumber) {
        guard !isSnapshot(ino) else { return snapshots.getAttributes(request, of: ino) }
        live.getAttributes(request, of: ino)
    }

    package func setAttributes(
        _ request: consuming Request,
        _ change: AttributeChange,
        of ino: InodeNumber,
        killsPrivileges: Bool
    ) {
        guard !isSnapshot(ino) else { return snapshots.refuse(request) }
        live.setAttributes(request, change, of: ino, killsPrivileges: killsPrivileges)
    }

    package func getExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        guard !isSnapshot(ino) else {
            return snapshots.getExtendedAttribute(request, name, of: ino, bytesMax: bytesMax)
        }
        live.getExtendedAttribute(request, name, of: ino, bytesMax: bytesMax)
    }

    package func setExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        to value: [UInt8],
        mode: XattrMode?,
        clearsSetGroup: Bool,
        of ino: InodeNumber
    ) {
        guard !isSnapshot(ino) else { return snapshots.refuse(request) }
        live.setExtendedAttribute(
            request,
            name,
            to: value,
            mode: mode,
            clearsSetGroup: clearsSetGroup,
            of: ino
        )
    }

    package func listExtendedAttributes(
        _ request: consuming Request,
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        guard !isSnapshot(ino) else {
            return snapshots.listExtendedAttributes(request, of: ino, bytesMax: bytesMax)
        }
        live.listExtendedAttributes(request, of: ino, bytesMax: bytesMax)
    }

    package func removeExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber
    ) {
        guard !isSnapshot(ino) else { return snapshots.refuse(request) }
        live.removeExtendedAttribute(request, name, of: ino)
    }

    // MARK: Content

    package func create(
        _ request: consuming Request,
        _ new: NewInode,
        name: [UInt8],
        in parent: InodeNumber,
        how: OpenRequest
    ) {
        guard !isSnapshot(parent) else { return snapshots.refuse(request) }
        guard !Self.isHidden(name, in: parent) else { return request.fail(EPERM) }
        live.create(request, new, name: name, in: parent, how: how)
    }

    package func createUnnamed(
        _ request: consuming Request,
        _ new: NewInode,
        in parent: InodeNumber,
        how: OpenRequest
    ) {
        guard !isSnapshot(parent) else { return snapshots.refuse(request) }
        live.createUnnamed(request, new, in: parent, how: how)
    }

    package func open(_ request: consuming Request, _ ino: InodeNumber, how: OpenRequest) {
        guard !isSnapshot(ino) else { return snapshots.open(request, ino, how: how) }
        live.open(request, ino, how: how)
    }

    package func release(_ request: consuming Request, _ ino: InodeNumber, _ handle: OpenHandle) {
        guard !isSnapshot(ino) else { return request.done() }
        live.release(request, ino, handle)
    }

    package func sync(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool) {
        guard !isSnapshot(ino) else { return request.done() }
        live.sync(request, ino, dataOnly: dataOnly)
    }

    package func read(
        _ request: consuming Request,
        _ ino: InodeNumber,
        offset: UInt64,
        count: Int
    ) {
        guard !isSnapshot(ino) else {
            return snapshots.read(request, ino, offset: offset, count: count)
        }
        live.read(request, ino, offset: offset, count: count)
    }

    package func write(
        _ request: consuming Request,
        _ ino: InodeNumber,
        offset: UInt64,
        bytes: UnsafeRawBufferPointer,
        killsPrivileges: Bool,
        isFromCache: Bool
    ) {
        guard !isSnapshot(ino) else { return snapshots.refuse(request) }
        live.write(
            request,
            ino,
            offset: offset,
            bytes: bytes,
            killsPrivileges: killsPrivileges,
            isFromCache: isFromCache
        )
    }

    package func allocate(
        _ request: consuming Request,
        _ ino: InodeNumber,
        range: Range<UInt64>,
        mode: AllocationMode?
    ) {
        guard !isSnapshot(ino) else { return snapshots.refuse(request) }
        live.allocate(request, ino, range: range, mode: mode)
    }

    package func seek(
        _ request: consuming Request,
        _ ino: InodeNumber,
        from offset: UInt64,
        to target: SeekKind
    ) {
        guard !isSnapshot(ino) else {
            return snapshots.seek(request, ino, from: offset, to: target)
        }
        live.seek(request, ino, from: offset, to: target)
    }

    package func copyRange(
        _ request: consuming Request,
        from source: InodeNumber,
        at sourceOffset: UInt64,
        to target: InodeNumber,
        at targetOffset: UInt64,
        count: UInt64
    ) {
        guard !isSnapshot(source), !isSnapshot(target) else { return request.fail(EXDEV) }
        live.copyRange(
            request,
            from: source,
            at: sourceOffset,
            to: target,
            at: targetOffset,
            count: count
        )
    }
}
