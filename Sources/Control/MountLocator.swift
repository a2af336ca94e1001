import CLinux
import Glibc
import Disk

/// What a mounted volume tells of itself by extended attributes that are not stored.
package enum MountLocator {
    /// Of every file and directory of a mounted volume: the path of the control socket.
    package static let controlAttribute = "user.mefs.control"
    /// Of a file: where its bytes are, as `PlacementState` writes it.
    package static let stateAttribute = "user.mefs.state"

    /// The longest value asked for; a path has at most 4096 bytes.
    private static let valueBytesMax = 8 << 10

    /// The control socket of the mount that holds `path`.
    package static func controlSocket(of path: String) throws(ControlFailure) -> String {
        try value(of: controlAttribute, at: path)
    }

    /// Where the bytes of the file at `path` are.
    package static func state(of path: String) throws(ControlFailure) -> PlacementState {
        let text = try value(of: stateAttribute, at: path)
        guard let state = PlacementState(text) else {
            throw ControlFailure(
                .failed,
                "\(path) is in a state that this program does not know: '\(text)'"
            )
        }
        return state
    }

    private static func value(
        of attribute: String,
        at path: String
    ) throws(ControlFailure) -> String {
        var value = [UInt8](repeating: 0, count: valueBytesMax)
        let count = clinux_get_xattr(path, attribute, &value, value.count)
        guard count < 0 else { return String(decoding: value.prefix(Int(count)), as: UTF8.self) }
        let code = errno
        switch code {
        case ENODATA, ENOTSUP:
            throw ControlFailure(
                .notFound,
                "\(path) is not in a mounted MEFS volume; mount it with mount.mefs"
            )
        case ENOENT, ENOTDIR:
            throw ControlFailure(.notFound, "\(path) does not exist")
        case ENOTCONN, ECONNABORTED:
            throw ControlFailure(
                .notFound,
                "the mount process of \(path) is gone; detach it with 'umount -l \(path)' and"
                    + " mount it again"
            )
        default:
            throw ControlFailure(.failed, "cannot ask \(path): \(DiskError.reason(of: code))")
        }
    }
}
