package import FUSE
package import Primitives
import Glibc

/// Everything that would change a snapshot fails with EROFS.
extension SnapshotAdapter {
    package func setAttributes(
        _ request: consuming Request,
        _ change: AttributeChange,
        of ino: InodeNumber,
        killsPrivileges: Bool
    ) {
        refuse(request)
    }

    package func make(
        _ request: consuming Request,
        _ new: NewInode,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        refuse(request)
    }

    package func link(
        _ request: consuming Request,
        _ ino: InodeNumber,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        refuse(request)
    }

    package func unlink(_ request: consuming Request, name: [UInt8], in parent: InodeNumber) {
        refuse(request)
    }

    package func removeDirectory(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        refuse(request)
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
        refuse(request)
    }

    package func create(
        _ request: consuming Request,
        _ new: NewInode,
        name: [UInt8],
        in parent: InodeNumber,
        how: OpenRequest
    ) {
        refuse(request)
    }

    package func createUnnamed(
        _ request: consuming Request,
        _ new: NewInode,
        in parent: InodeNumber,
        how: OpenRequest
    ) {
        refuse(request)
    }

    package func write(
        _ request: consuming Request,
        _ ino: InodeNumber,
        offset: UInt64,
        bytes: UnsafeRawBufferPointer,
        killsPrivileges: Bool,
        isFromCache: Bool
    ) {
        refuse(request)
    }

    package func allocate(
        _ request: consuming Request,
        _ ino: InodeNumber,
        range: Range<UInt64>,
        mode: AllocationMode?
    ) {
        refuse(request)
    }

    package func setExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        to value: [UInt8],
        mode: XattrMode?,
        clearsSetGroup: Bool,
        of ino: InodeNumber
    ) {
        refuse(request)
    }

    package func removeExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber
    ) {
        refuse(request)
    }
}
