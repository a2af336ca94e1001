package import FUSE
package import Primitives
import Glibc
import Volume

extension FileSystemAdapter {
    /// Where tools find the control socket of the mount that holds a file; not listed, so that no
    /// copy of a tree carries it along.
    private static let controlName = Array("user.mefs.control".utf8)
    /// Access lists and the like, which are not enforced and so must not be stored.
    private static let systemPrefix = Array("system.".utf8)

    package func getExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        if name == Self.controlName {
            return reply(request, value: controlPath, bytesMax: bytesMax)
        }
        guard !name.starts(with: Self.systemPrefix) else { return request.fail(EOPNOTSUPP) }
        let value = attempt { () throws(FileSystemError) in
            try engine.extendedAttribute(name, of: ino)
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
        of ino: InodeNumber
    ) {
        guard !name.starts(with: Self.systemPrefix) else { return request.fail(EOPNOTSUPP) }
        guard let mode else { return request.fail(EINVAL) }
        done(request) { () throws(FileSystemError) in
            try engine.setExtendedAttribute(name, to: value, mode: mode, of: ino)
        }
    }

    package func listExtendedAttributes(
        _ request: consuming Request,
        of ino: InodeNumber,
        bytesMax: Int
    ) {
        switch attempt({ () throws(FileSystemError) in try engine.extendedAttributes(of: ino) }) {
        case .success(let names):
            reply(request, value: names.flatMap { $0 + [0] }, bytesMax: bytesMax)
        case .failure(let error): fail(request, error)
        }
    }

    package func removeExtendedAttribute(
        _ request: consuming Request,
        _ name: [UInt8],
        of ino: InodeNumber
    ) {
        guard !name.starts(with: Self.systemPrefix) else { return request.fail(EOPNOTSUPP) }
        done(request) { () throws(FileSystemError) in
            try engine.removeExtendedAttribute(name, of: ino)
        }
    }

    /// Answers with a value, or its size if that is asked, or ERANGE if it does not fit.
    private func reply(_ request: consuming Request, value: [UInt8], bytesMax: Int) {
        if bytesMax == 0 {
            request.reply(attributeBytes: value.count)
        } else if value.count > bytesMax {
            request.fail(ERANGE)
        } else {
            request.reply(bytes: value)
        }
    }
}
