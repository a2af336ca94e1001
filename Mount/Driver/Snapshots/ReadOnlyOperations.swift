package import FUSE
package import Primitives
import Glibc

/// Requests about a tree that no program changes.
package protocol ReadOnlyOperations: Operations {}

/// Everything that would change it fails with EROFS; there is nothing to sync.
extension ReadOnlyOperations {
    /// Answers that nothing changes here.
    func refuse(_ request: consuming Request) { request.fail(EROFS) }

    package func sync(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool) {
        request.done()
    }

    package func syncDirectory(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool) {
        request.done()
    }

    /// Refuses as between filesystems, whereupon the kernel copies by itself.
    package func copyRange(
        _ request: consuming Request,
        from source: InodeNumber,
        at sourceOffset: UInt64,
        to target: InodeNumber,
        at targetOffset: UInt64,
        count: UInt64
    ) {
        request.fail(EXDEV)
    }

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
