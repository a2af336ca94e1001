import Disk
import Primitives
package import Sealing

/// The directory of one node, locked against a second daemon, with the node's key.
///
/// ```
/// lock       held while a daemon runs; its text names the process
/// identity   the key's seed, 64 hexadecimal digits, mode 0600
/// node       what the directory is and whose: format, role and node id, in plain text
/// ```
package final class NodeDirectory: Sendable {
    /// What stands in `node` before the id.
    private static let format = "mefs 1"
    /// The longest of the small files that is looked at.
    private static let fileBytesMax = 4096

    package let path: String
    package let identity: SigningKey
    private let lock: FileLock

    /// Opens the directory, or makes it with a new key if there is none.
    ///
    /// `role` is `provider` or `keeper`; a directory of the other role is refused.
    package init(path: String, role: String) throws(NodeError) {
        self.path = path
        do throws(DiskError) {
            try Directory.make(path)
        } catch {
            throw NodeError(error)
        }
        do throws(FileLock.Failure) {
            lock = try FileLock(path + "/lock", note: role)
        } catch {
            switch error {
            case .held(_, let holder):
                throw NodeError(
                    .inUse,
                    "\(path) is in use by \(holder); stop it first, or choose another directory"
                )
            case .disk(let error): throw NodeError(error)
            }
        }
        identity = try Self.identity(in: path, role: role)
    }

    /// Lets another daemon use the directory.
    package func release() { lock.release() }

    /// The key of the node whose directory is at `path`, which a daemon may be using.
    ///
    /// - Throws: `failed` if there is none of this role.
    package static func existingIdentity(
        in path: String,
        role: String
    ) throws(NodeError) -> SigningKey {
        guard WholeFile.exists(path + "/identity") else {
            throw NodeError("\(path) is not the directory of a \(role) that has run")
        }
        return try identity(in: path, role: role)
    }

    private static func identity(in path: String, role: String) throws(NodeError) -> SigningKey {
        let identityPath = path + "/identity"
        let markPath = path + "/node"
        do {
            guard WholeFile.exists(identityPath) else {
                if WholeFile.exists(markPath) {
                    throw NodeError(
                        .wrongKey,
                        "\(path) belongs to a node whose key \(identityPath) is missing; put the"
                            + " key back, or choose another directory"
                    )
                }
                return try makeIdentity(identityPath, markPath, role)
            }
            let text = String(
                decoding: try WholeFile.read(identityPath, limit: fileBytesMax),
                as: UTF8.self
            )
            guard let seed = Hex.decode(String(text.filter { !$0.isWhitespace })),
                let key = try? SigningKey(seed: seed)
            else {
                throw NodeError(
                    .wrongKey,
                    "\(identityPath) is not a node's key: 64 hexadecimal digits"
                )
            }
            let wanted = mark(role, key)
            // A crash between the two files leaves the key alone.
            guard WholeFile.exists(markPath) else {
                try WholeFile.replace(markPath, with: wanted)
                return key
            }
            let found = try WholeFile.read(markPath, limit: fileBytesMax)
            guard found == wanted else { throw mismatch(path, found: found, role: role, key) }
            return key
        } catch let error as NodeError {
            throw error
        } catch let error as DiskError {
            throw NodeError(error)
        } catch {
            throw NodeError("\(path): \(error)")
        }
    }

    private static func makeIdentity(
        _ identityPath: String,
        _ markPath: String,
        _ role: String
    ) throws -> SigningKey {
        let key = try SigningKey.random()
        let text = Hex.encode(key.seed) + "\n"
        try WholeFile.replace(identityPath, with: Array(text.utf8), permissions: 0o600)
        try WholeFile.replace(markPath, with: mark(role, key))
        return key
    }

    private static func mark(_ role: String, _ key: SigningKey) -> [UInt8] {
        Array("\(format)\n\(role)\n\(key.publicKey.nodeID.hex)\n".utf8)
    }

    private static func mismatch(
        _ path: String,
        found: [UInt8],
        role: String,
        _ key: SigningKey
    ) -> NodeError {
        let lines = String(decoding: found, as: UTF8.self).split(separator: "\n").map(String.init)
        guard lines.count == 3, lines[0] == format else {
            return NodeError("\(path)/node is not of a format that this program knows (\(format))")
        }
        guard lines[1] == role else {
            return NodeError(
                "\(path) belongs to a \(lines[1].prefix(16)); choose another directory for a"
                    + " \(role)"
            )
        }
        return NodeError(
            .wrongKey,
            "\(path) belongs to node \(lines[2].prefix(8)), but its key is of node"
                + " \(key.publicKey.nodeID.short); put the right \(path)/identity back"
        )
    }
}
