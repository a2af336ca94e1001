import Logging
import Network
import Primitives
import Proofs
import Sealing
import Transport
import Wire

/// Answers what peers ask a keeper.
struct KeeperRequests: RequestHandler {
    let services: KeeperServices
    let workers: WorkerPool
    let advertise: NodeAddress?
    let membership: KeeperMembership
    let logger: Logger

    private var state: KeeperState { services.state }
    private var identity: SigningKey { services.identity }

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
            if try state.note(heartbeat, from: request.peer, now: services.now()) {
                logger.info("provider \(request.peer.short) at \(heartbeat.address)")
            }
            return []
        case .listProviders:
            return ProviderList(providers: state.providers(now: services.now())).encoded
        case .registerVolume:
            try register(try VolumeRegistration(decoding: request.body), of: request.peer)
            return []
        case .listVolumes:
            return VolumeList(volumes: try state.volumes(of: request.peer)).encoded
        case .exportNetwork:
            return try export(try ExportNetwork(decoding: request.body))
        case .fetchBeacons:
            let query = try FetchBeacons(decoding: request.body)
            return BeaconList(blocks: try services.beacons.blocks(query, now: services.now()))
                .encoded
        case .reportCustody:
            let report = try ReportCustody(decoding: request.body)
            try services.register.take(report, from: request.peer, now: services.now())
            return []
        case .listScores:
            let query = try ListScores(decoding: request.body)
            return try services.scores(query, now: services.now()).encoded
        case .delegate:
            return try delegate(try Delegate(decoding: request.body), of: request).encoded
        case .undelegate:
            let volume = try Undelegate(decoding: request.body).volume
            try services.delegations.undelegate(key(volume, request))
            logger.info("volume \(volume.short) of \(request.peer.short) taken back")
            return []
        case .holdVolume:
            let volume = try HoldVolume(decoding: request.body).volume
            return try services.delegations.hold(key(volume, request)).encoded
        case .putStripes:
            try services.delegations.put(
                try PutStripes(decoding: request.body),
                of: request.peer
            )
            return []
        case .replaceBucket:
            try services.delegations.replace(
                try ReplaceBucket(decoding: request.body),
                of: request.peer
            )
            return []
        case .fetchRepairs:
            return try services.delegations.repairs(
                try FetchRepairs(decoding: request.body),
                of: request.peer
            ).encoded
        case .putHead:
            let head = try PutHead(decoding: request.body).head
            try services.heads.put(head, from: request.peer)
            return []
        case .getHead:
            let volume = try GetHead(decoding: request.body).volume
            return try services.heads.newest(of: volume, for: request.peer).encoded
        case .retainHead:
            let query = try RetainHead(decoding: request.body)
            return try services.retained.retain(query, from: request.peer, now: services.now())
                .encoded
        case .listRetained:
            let query = try ListRetained(decoding: request.body)
            return try services.retained.list(query, for: request.peer, now: services.now())
                .encoded
        case .fetchRetained:
            let query = try FetchRetained(decoding: request.body)
            return try services.retained.fetch(query, for: request.peer).encoded
        case .holdLease:
            let query = try HoldLease(decoding: request.body)
            return try services.leases.hold(query, from: request.peer).encoded
        case .releaseLease:
            let query = try ReleaseLease(decoding: request.body)
            try services.leases.release(query, from: request.peer)
            return []
        case .putShard, .getShard, .deleteShards, .storeStatus, .openOrder, .orderHead,
            .amendOrder, .fetchOrder, .challenge, .presentGrant, .deliverReceipt, .listReceipts,
            .setLeaving, .compactOrder, .retainShards, .listLoose:
            throw NetworkError(.refused, "this is a keeper; shards are with providers")
        }
    }

    private func key(_ volume: VolumeID, _ request: Request) -> DelegationKey {
        DelegationKey(owner: request.peer, volume: volume)
    }

    private func delegate(_ query: Delegate, of request: Request) throws -> DelegationState {
        let grant = query.grant
        let now = services.now()
        guard grant.ownerKey == request.peerKey else {
            throw NetworkError(.unauthorized, "the grant is not signed by you")
        }
        guard grant.allows(.audit, to: services.id, volume: grant.volume, at: now) else {
            throw NetworkError(
                .unauthorized,
                "the grant does not let this keeper audit volume \(grant.volume.short)"
                    + (now < grant.expires ? "" : ": it has expired")
            )
        }
        let delegation = Delegation(
            key: key(grant.volume, request),
            grant: grant,
            repairKey: query.repairKey,
            code: query.code
        )
        logger.info("\(delegation.key) delegated")
        return try services.delegations.delegate(delegation, now: now)
    }

    private func register(_ volume: VolumeRegistration, of peer: NodeID) throws {
        guard volume.owner == peer, volume.isSignatureValid else {
            throw NetworkError(
                .unauthorized,
                "the registration of volume \(volume.id.short) is not signed by you"
            )
        }
        if volume.isShredded {
            try services.retained.checkShredding(volume.id, now: services.now())
        }
        try state.register(volume)
        guard volume.isShredded else {
            return logger.info("volume \(volume.id.short) of \(peer.short) registered")
        }
        // Whether or not it was delegated.
        try? services.delegations.undelegate(DelegationKey(owner: peer, volume: volume.id))
        logger.info("volume \(volume.id.short) of \(peer.short) shredded")
    }

    private func export(_ query: ExportNetwork) throws -> [UInt8] {
        if let file = try membership.file() {
            guard query.name.isEmpty || query.name == file.name else {
                throw NetworkError(
                    .exists,
                    "the keeper is of network \(file.name), whose file is not changed; ask without"
                        + " a name"
                )
            }
            return file.encoded()
        }
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
