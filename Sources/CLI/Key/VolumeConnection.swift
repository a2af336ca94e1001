import Home
import Network
import Sealing

/// The network of a volume that is not mounted, asked as its owner; the embedded one is started
/// for it.
struct VolumeConnection {
    let network: RemoteNetwork
    private let local: LocalNetwork?

    /// `leavesTraces`: whether the list of providers that is had is kept for the next mount.
    init(
        to volume: VolumeDirectory,
        as identity: SigningKey,
        leavesTraces: Bool = true
    ) throws {
        let local = volume.isLocal ? LocalNetwork(home: volume.home, logger: .silent) : nil
        self.local = local
        do {
            let file = if let local { try local.start() } else { try volume.network() }
            network = try RemoteNetwork(
                file: file,
                identity: identity,
                logger: .silent,
                directoryCache: leavesTraces ? volume.providersPath : nil
            )
        } catch {
            local?.stop()
            throw error
        }
    }

    /// A network by its file.
    init(to file: NetworkFile, as identity: SigningKey) throws {
        local = nil
        network = try RemoteNetwork(file: file, identity: identity, logger: .silent)
    }

    /// Ends connections and the embedded network; only once.
    func close() {
        network.close()
        local?.stop()
    }
}
