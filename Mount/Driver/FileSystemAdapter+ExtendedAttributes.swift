package import FUSE
package import Primitives
import Glibc
import Volume

extension FileSystemAdapter {
    /// Where tools find the control socket of the mount that holds a file; not listed, so that no
    /// copy of a tree carries it along.
    static let controlName = Array("user.mefs.control".utf8)
    /// The classes whose attributes are kept as they are (`man 7 xattr`).
    private static let classes = ["user.", "trusted.", "security."].map { Array($0.utf8) }
    /// Of `system.`, what the kernel gives a meaning to, only access lists.
    private static let accessLists = [
        "system.posix_acl_access", "system.posix_acl_default",
    ].map { Array($0.utf8) }

    /// Whether an attribute may have this name.
    ///
    /// - Throws: `notSupported` for a class that is not known, `invalid` for one without a name.
    static func check(_ name: [UInt8]) throws(FileSystemError) {
        if accessLists.contains(name) { return }
        guard let known = classes.first(where: { name.starts(with: $0) }) else {
            throw FileSystemError(.notSupported, "attributes of this class are not kept")
        }
        guard name.count > known.count else {
            throw FileSystemError(.invalid, "the name of an extended attribute is empty")
        }
    }

    package func getExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        if name == Self.controlName {
            return reply(request, value: controlPath, bytesMax: bytesMax)
        }
        let value = attempt { () throws(FileSystemError) in
            try Self.check(name)
            return try engine.extendedAttribute(name, of: ino)
        }
        switch value {
        case .success(let value): reply(request, value: value, bytesMax: bytesMax)
        case .failure(let error): fail(request, error)
        }
    }

    package func setExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        to value: [UInt8],
        mode: XattrMode?,
        clearsSetGroup: Bool,
        of ino: InodeNumber
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        guard let mode else { return request.fail(EINVAL) }
        done(request) { () throws(FileSystemError) in
            try Self.check(name)
            try engine.setExtendedAttribute(
                name,
                to: value,
                mode: mode,
                clearsSetGroup: clearsSetGroup,
                of: ino
            )
        }
    }

    package func listExtendedAttributes(
        _ request: consuming Request,
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        switch attempt({ () throws(FileSystemError) in try engine.extendedAttributes(of: ino) }) {
        case .success(let names):
            reply(request, attributeNames: names, bytesMax: bytesMax)
        case .failure(let error): fail(request, error)
        }
    }

    package func removeExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        done(request) { () throws(FileSystemError) in
            try Self.check(name)
            try engine.removeExtendedAttribute(name, of: ino)
            if name == Self.capability { writers.noteLostCapabilities(of: ino) }
        }
    }

    private static let capability = Array("security.capability".utf8)
}
