import Network
import Primitives
import Sealing
import Testing
import Transport

/// Always the same values, for golden bytes.
enum Samples {
    static func key(_ number: UInt8) throws -> SigningKey {
        try SigningKey(seed: Array(repeating: number, count: 32))
    }

    static func shard(_ number: UInt8) throws -> ShardID {
        try #require(ShardID(bytes: Array(repeating: number, count: 16)))
    }

    static func owner() throws -> NodeID { try key(7).publicKey.nodeID }

    static func putShard() throws -> PutShard {
        PutShard(owner: try owner(), shard: try shard(1), root: try digest(2))
    }

    static func digest(_ number: UInt8) throws -> Digest {
        try #require(Digest(bytes: Array(repeating: number, count: 32)))
    }

    static func address(_ text: String = "192.0.2.1:4750") throws -> NodeAddress {
        try #require(NodeAddress(text))
    }

    static func code() throws -> ErasureCode { try #require(ErasureCode(k: 4, m: 2)) }

    static let time = Timestamp(seconds: 1_700_000_000, nanoseconds: 5)

    static func provider(_ number: UInt8) throws -> ProviderRecord {
        ProviderRecord(
            id: try key(number).publicKey.nodeID,
            address: try address(),
            domain: "house",
            capacityBytes: 1 << 40,
            usedBytes: 12_345,
            isUp: true,
            lastSeen: time,
            firstSeen: Timestamp(seconds: 1_600_000_000, nanoseconds: 0),
            isLeaving: number == 4
        )
    }

    static func volume(_ number: UInt8, owner: UInt8 = 7) throws -> VolumeRegistration {
        try VolumeRegistration(
            id: try #require(VolumeID(bytes: Array(repeating: number, count: 16))),
            code: try code(),
            wrappedKey: Array(0..<60),
            created: time,
            signedBy: try key(owner)
        )
    }

    static func networkFile() throws -> NetworkFile {
        let keepers = [
            KeeperEndpoint(address: try address(), publicKey: try key(1).publicKey),
            KeeperEndpoint(
                address: try address("[2001:db8::1]:1"),
                publicKey: try key(2).publicKey
            ),
        ]
        return try NetworkFile.signed(
            name: "büro",
            code: try code(),
            keepers: keepers,
            by: try key(1)
        )
    }
}
