package import Primitives
package import Proofs
package import Sealing

/// On whose behalf a volume is looked after, and by whom.
package struct CustodyIdentity: Sendable {
    package let volume: VolumeID
    /// The key that the volume's orders name.
    package let ownerKey: PublicKey
    /// Signs amendments and receipts: the owner's key, or that of a keeper with a grant.
    package let signer: SigningKey
    /// The owner's word for a keeper; `nil` for the owner.
    package let grant: Grant?
    /// Unmasks shards; opens nothing.
    package let repairKey: RepairKey
    /// Whose beacons are believed.
    package let keepers: [PublicKey]

    package init(
        volume: VolumeID,
        ownerKey: PublicKey,
        signer: SigningKey,
        grant: Grant? = nil,
        repairKey: RepairKey,
        keepers: [PublicKey]
    ) {
        self.volume = volume
        self.ownerKey = ownerKey
        self.signer = signer
        self.grant = grant
        self.repairKey = repairKey
        self.keepers = keepers
    }

    package var owner: NodeID { ownerKey.nodeID }

    /// Whether shards may be moved and orders amended.
    func mayRepair(at time: Timestamp) -> Bool {
        guard let grant else { return true }
        return grant.ownerKey == ownerKey
            && grant.allows(
                .repair,
                to: signer.publicKey.nodeID,
                volume: volume,
                at: time
            )
    }
}
