import Disk
package import Network
package import Primitives
import Sealing

/// The network that a keeper belongs to beside others: the file `network.json` in its directory.
///
/// A keeper without one is a network by itself. What is written stays: machines that go by
/// different lists of keepers could each have more than half of theirs, and both write a volume.
package struct KeeperMembership: Sendable {
    private let directory: String
    private var path: String { directory + "/network.json" }

    /// That of the keeper whose directory this is; it may be running.
    package init(directory: String) { self.directory = directory }

    /// The file that the keeper gives out, if it belongs to a network; read anew each time.
    package func file() throws(NodeError) -> NetworkFile? {
        guard WholeFile.exists(path) else { return nil }
        do {
            return try NetworkFile(
                parsing: try WholeFile.read(path, limit: NetworkFile.fileBytesMax)
            )
        } catch let error as DiskError {
            throw NodeError(error)
        } catch {
            throw NodeError(
                .corrupt,
                "\(path): \(error); put the network's file there again with 'mefs keeper join'"
                    + " once it is removed"
            )
        }
    }

    /// Makes the keeper one of those that `file` names; the same file again changes nothing.
    ///
    /// - Throws: `usage` if the file does not name the keeper; `inUse` if it is of another network.
    package func join(_ file: NetworkFile) throws(NodeError) {
        let key = try NodeDirectory.existingIdentity(in: directory, role: "keeper").publicKey
        guard file.keepers.contains(where: { $0.publicKey == key }) else {
            throw NodeError(
                .usage,
                "the file of network \(file.name) does not name keeper \(key.nodeID.short) of"
                    + " \(directory)"
            )
        }
        try checkFree(for: file)
        do throws(DiskError) {
            try WholeFile.replace(path, with: file.encoded())
        } catch {
            throw NodeError(error)
        }
    }

    /// Throws `inUse` if the keeper is of another network than `file`'s.
    private func checkFree(for file: NetworkFile) throws(NodeError) {
        guard let known = try self.file(), known != file else { return }
        throw NodeError(
            .inUse,
            "\(directory) is of network \(known.name) with \(known.keepers.count) keepers already,"
                + " which do not change; make another keeper for another network"
        )
    }

    /// Makes the file of a network of these keepers, signed by this one, which is among them and
    /// comes first; this keeper gives it out from then on.
    ///
    /// - Throws: `usage` if this keeper is not among them, or the file would break a limit;
    ///   `inUse` if it is of another network.
    package func found(
        named name: String,
        code: ErasureCode,
        keepers: [KeeperEndpoint]
    ) throws(NodeError) -> NetworkFile {
        let key = try NodeDirectory.existingIdentity(in: directory, role: "keeper")
        guard let own = keepers.first(where: { $0.publicKey == key.publicKey }) else {
            throw NodeError(
                .usage,
                "none of these keepers is \(key.publicKey.nodeID.short), which \(directory) is of;"
                    + " run this where one of them is, with its directory"
            )
        }
        let file: NetworkFile
        do throws(NetworkFileError) {
            file = try NetworkFile.signed(
                name: name.isEmpty ? KeeperRequests.defaultName(key) : name,
                code: code,
                keepers: [own] + keepers.filter { $0 != own },
                by: key
            )
        } catch {
            throw NodeError(.usage, "\(error)")
        }
        try join(file)
        return file
    }
}
