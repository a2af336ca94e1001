import Network
import Primitives
import Proofs
import Reliability
import Sealing
import Testing
import Wire

/// What owners, providers and keepers sign, always the same: the owner's key is of seed 07.., the
/// provider's 03.., the keeper's 01...
extension Samples {
    static func volumeID(_ number: UInt8 = 5) throws -> VolumeID {
        try #require(VolumeID(bytes: Array(repeating: number, count: 16)))
    }

    static func stripe(_ number: UInt8) throws -> StripeID {
        try #require(StripeID(bytes: Array(repeating: number, count: 16)))
    }

    static func terms() throws -> OrderTerms {
        OrderTerms(
            volume: try volumeID(),
            ownerKey: try key(7).publicKey,
            provider: try key(3).publicKey.nodeID,
            generation: 1,
            opened: time
        )
    }

    static func grant(
        volume: UInt8 = 5,
        owner: UInt8 = 7,
        to keeper: NodeID? = nil,
        expires: Timestamp = Timestamp(seconds: 1 << 40, nanoseconds: 0)
    ) throws -> Grant {
        try Grant(
            volume: try volumeID(volume),
            grantee: try keeper ?? key(1).publicKey.nodeID,
            rights: .all,
            issued: time,
            expires: expires,
            signedBy: try key(owner)
        )
    }

    static func changes() throws -> [OrderChange] {
        [
            OrderChange(
                position: 0,
                entry: OrderEntry(shard: try shard(1), bytes: 4096, root: try digest(2))
            ),
            OrderChange(position: 1, entry: .tombstone(try shard(2))),
        ]
    }

    static func tree() throws -> OrderTree {
        try OrderTree(entries: [
            OrderEntry(shard: try shard(1), bytes: 4096, root: try digest(2)),
            .tombstone(try shard(2)),
        ])
    }

    static func proposal(sequence: UInt64 = 1) throws -> OrderProposal {
        try OrderProposal(
            order: try terms().id,
            sequence: sequence,
            commitment: sequence == 0 ? .empty : try tree().commitment,
            at: time,
            signedBy: try key(7)
        )
    }

    static func state() throws -> OrderState {
        try OrderState(accepting: try proposal(), signedBy: try key(3))
    }

    static func beacons() throws -> [BeaconBlock] {
        let first = try BeaconBlock.next(
            after: nil,
            epoch: Epoch(472_222),
            epochSeconds: 3600,
            signedBy: try key(1)
        )
        let second = try BeaconBlock.next(
            after: first,
            epoch: Epoch(472_224),
            epochSeconds: 3600,
            signedBy: try key(1)
        )
        return [first, second]
    }

    static func challenge() throws -> Challenge {
        let state = try state()
        let beacon = try #require(try beacons().last)
        return Challenge(
            order: state.order,
            provider: try key(3).publicKey.nodeID,
            epoch: beacon.epoch,
            beacon: beacon.value,
            sequence: state.sequence,
            commitment: state.commitment,
            leaves: 32
        )
    }

    static func proof() throws -> Proof {
        try Proof(
            challenge: try challenge(),
            body: Array(0..<40),
            damaged: [try shard(1)],
            signedBy: try key(3)
        )
    }

    static func receipts() throws -> [Receipt] {
        let first = try Receipt(
            of: try challenge(),
            after: nil,
            lastProved: nil,
            epochSeconds: 3600,
            asked: time,
            answered: Timestamp(seconds: time.seconds + 1, nanoseconds: 0),
            verdict: .ok,
            reason: "all there",
            proof: try proof(),
            signedBy: try key(7)
        )
        let second = try Receipt(
            of: try challenge(),
            after: first,
            lastProved: first,
            epochSeconds: 3600,
            asked: Timestamp(seconds: time.seconds + 3600, nanoseconds: 0),
            answered: Timestamp(seconds: time.seconds + 3630, nanoseconds: 0),
            verdict: .unreachable,
            reason: "no answer within 30 s",
            proof: nil,
            signedBy: try key(7)
        )
        return [first, second]
    }

    /// Read from bytes, since what a history comes to changes with the formulas.
    static func score() throws -> SignedScore {
        var writer = ByteWriter()
        for value in [0.75, 0.875, 0.125, 0.5] { writer.integer(value.bitPattern) }
        writer.boolean(true)
        writer.boolean(false)
        writer.integer(UInt32(1))
        writer.string("new: known to be up for 3 d")
        return try SignedScore(
            provider: try key(3).publicKey.nodeID,
            at: time,
            score: try Score(decoding: writer.bytes),
            signedBy: try key(1)
        )
    }

    /// A stripe of 2+1 with shards at the nodes whose seeds are 3, 4 and 5.
    static func manifest(_ number: UInt8) throws -> StripeManifest {
        StripeManifest(
            id: try stripe(number),
            code: try #require(ErasureCode(k: 2, m: 1)),
            shardBytes: 4096,
            shards: try (0..<3).map { index in
                ShardHolding(
                    index: index,
                    shard: try shard(number &+ index),
                    provider: try key(3 + index).publicKey.nodeID,
                    root: try digest(number &+ 16 &+ index)
                )
            }
        )
    }

    static func repair(_ number: UInt64) throws -> RepairRecord {
        RepairRecord(
            number: number,
            stripe: try stripe(8),
            index: 1,
            shard: try shard(9),
            from: try key(4).publicKey.nodeID,
            to: try key(6).publicKey.nodeID,
            at: time
        )
    }
}
