import Disk
import Primitives
import Proofs
import SQLite
import Transport
import Sealing

/// The grants that were presented to a provider: the newest of each owner, volume and grantee.
struct GrantTable {
    /// Grants of one volume; as many vouch for one state on the wire.
    static let grantsMax = 16

    private struct Key: Hashable {
        let volume: VolumeID
        let owner: NodeID
        let grantee: NodeID
    }

    private var grants: [Key: Grant] = [:]
    /// By owner and grantee, for requests that name no volume.
    private var volumes: [NodeID: Set<VolumeID>] = [:]

    init(_ grants: [Grant]) {
        for grant in grants { insert(grant) }
    }

    /// The grant that allows `peer` this, or `nil`.
    func grant(
        _ rights: Grant.Rights,
        to peer: NodeID,
        of owner: NodeID,
        on volume: VolumeID
    ) -> Grant? {
        let key = Key(volume: volume, owner: owner, grantee: peer)
        guard let grant = grants[key],
            grant.allows(rights, to: peer, volume: volume, at: Clock.now())
        else { return nil }
        return grant
    }

    /// Whether a grant on any of the owner's volumes allows `peer` this.
    func allows(_ rights: Grant.Rights, to peer: NodeID, of owner: NodeID) -> Bool {
        volumes[owner, default: []].contains {
            grant(rights, to: peer, of: owner, on: $0) != nil
        }
    }

    /// Takes a grant in place of an older one, checked before.
    ///
    /// - Returns: whether it is new, and so to be saved, and those that expired to make room.
    mutating func take(
        _ grant: Grant
    ) throws(NetworkError) -> (isNew: Bool, expired: [Grant]) {
        let owner = grant.ownerKey.nodeID
        let key = Key(volume: grant.volume, owner: owner, grantee: grant.grantee)
        if let known = grants[key] {
            guard known.issued < grant.issued else { return (false, []) }
            insert(grant)
            return (true, [])
        }
        let now = Clock.now()
        let others = grants.filter { $0.key.volume == grant.volume && $0.key.owner == owner }
        let expired = others.filter { $0.value.expires <= now }
        guard others.count - expired.count < Self.grantsMax else {
            throw NetworkError(
                .full,
                "volume \(grant.volume.short) has \(others.count) grants here; let one expire"
            )
        }
        for key in expired.keys { grants[key] = nil }
        insert(grant)
        return (true, Array(expired.values))
    }

    private mutating func insert(_ grant: Grant) {
        let owner = grant.ownerKey.nodeID
        grants[Key(volume: grant.volume, owner: owner, grantee: grant.grantee)] = grant
        volumes[owner, default: []].insert(grant.volume)
    }
}
