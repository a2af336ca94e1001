import Disk
import Logging
import Network
import Primitives
import Sealing
import Transport
import Wire

/// Answers what peers ask a keeper.
struct KeeperRequests: RequestHandler {
    let state: KeeperState
    let workers: WorkerPool
    let identity: SigningKey
    let advertise: NodeAddress?
    let logger: Logger

    func handle(_ request: Request, reply: Reply) {
        let isTaken = workers.submit {
            do {
                reply.succeed(try answer(request))
            } catch {
                reply.fail(.of(error))
            }
        }
        if !isTaken { reply.fail(NetworkError(.refused, "the keeper is too busy")) }
    }

    private func answer(_ request: Request) throws -> [UInt8] {
        guard let operation = Operation(rawValue: request.operation) else {
            throw NetworkError.unknown(request.operation)
        }
        switch operation {
        case .describe:
            return NodeDescription(role: .keeper, software: Software.name).encoded
        case .heartbeat:
            let heartbeat = try Heartbeat(decoding: request.body)
            if try state.note(heartbeat, from: request.peer, now: Clock.now()) {
                logger.info("provider \(request.peer.short) at \(heartbeat.address)")
            }
            return []
        case .listProviders:
            return ProviderList(providers: state.providers(now: Clock.now())).encoded
        case .registerVolume:
            try register(try VolumeRegistration(decoding: request.body), of: request.peer)
            return []
        case .listVolumes:
            return VolumeList(volumes: try state.volumes(of: request.peer)).encoded
        case .exportNetwork:
            return try export(try ExportNetwork(decoding: request.body))
        case .fetchBeacons, .reportCustody, .listScores, .delegate, .undelegate, .holdVolume,
            .putStripes, .replaceBucket, .fetchRepairs:
            throw NetworkError.unknown(request.operation)
        case .putShard, .getShard, .deleteShards, .storeStatus, .openOrder, .orderHead,
            .amendOrder, .fetchOrder, .challenge, .presentGrant, .deliverReceipt, .listReceipts,
            .setLeaving:
            throw NetworkError(.refused, "this is a keeper; shards are with providers")
        }
    }

    private func register(_ volume: VolumeRegistration, of peer: NodeID) throws {
        guard volume.owner == peer, volume.isSignatureValid else {
            throw NetworkError(
                .unauthorized,
                "the registration of volume \(volume.id.short) is not signed by you"
            )
        }
        try state.register(volume)
        logger.info("volume \(volume.id.short) of \(peer.short) registered")
    }

    private func export(_ query: ExportNetwork) throws -> [UInt8] {
        let keeper = KeeperEndpoint(
            address: advertise ?? query.address,
            publicKey: identity.publicKey
        )
        do throws(NetworkFileError) {
            return try NetworkFile.signed(
                name: query.name.isEmpty ? Self.defaultName(identity) : query.name,
                code: query.code,
                keepers: [keeper],
                by: identity
            ).encoded()
        } catch {
            throw NetworkError(.refused, "\(error)")
        }
    }

    static func defaultName(_ identity: SigningKey) -> String {
        "mefs-\(identity.publicKey.nodeID.short)"
    }
}
