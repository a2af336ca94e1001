import Disk
import Logging
import Network
import Primitives
import Sealing
import Volume

/// The volume brought back where nothing of it is, from the network and its key alone.
struct Elsewhere {
    let configuration: VolumeConfiguration
    let owner: SigningKey
    let network: TrialNetwork
    let logger: Logger

    /// Makes the metadata database of the newest head that keepers have.
    func recover() throws {
        let survey = HeadRegister.newest(
            of: configuration.id,
            owner: owner.publicKey.nodeID,
            at: network
        )
        guard let head = survey.newest else { throw TrialFailure("no keeper has a head") }
        let recovery = VolumeRecovery(key: configuration.key, network: network, logger: logger)
        let plan = try recovery.plan(head)
        try Directory.make(Directory.parent(of: configuration.metadataPath))
        let behind = try recovery.restore(plan, to: configuration.metadataPath) { _, _ in }
        guard behind.isEmpty else {
            throw TrialFailure("files are behind although all was placed: \(behind)")
        }
    }
}
