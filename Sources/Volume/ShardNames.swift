import Disk
package import Primitives
import Sealing

/// Ids of shards: random, and such that who knows the volume's id can tell that they are of it.
///
/// An owner may have several volumes at a provider. A shard that was put and is in no order yet is
/// either of a machine that is about to tell, or of one that is lost; the mark tells whose it is.
/// It says to a provider no more than the volume's order does.
///
/// docs/formats.md has the bytes.
package enum ShardNames {
    /// Bytes of an id that are drawn; the others follow from them.
    private static let randomBytes = 10

    /// A fresh id of a shard of `volume`.
    package static func newID(of volume: VolumeID) -> ShardID {
        // Placement follows from ids, so a simulation draws them from its seed.
        let random =
            Simulation.current?.randomBytes(randomBytes) ?? SecureRandom.bytes(randomBytes)
        return name(random, volume)
    }

    /// Whether the shard was named by a writer of `volume`; of another's shards one in 2^48 is
    /// mistaken.
    package static func isShard(_ shard: ShardID, of volume: VolumeID) -> Bool {
        name(Array(shard.bytes.prefix(randomBytes)), volume) == shard
    }

    private static func name(_ random: [UInt8], _ volume: VolumeID) -> ShardID {
        let mark = SHA256.digest(Array("shard-name".utf8) + volume.bytes + random).bytes
        let bytes = random + mark.prefix(ShardID.byteCount - randomBytes)
        guard let id = ShardID(bytes: bytes) else {
            preconditionFailure("ShardID takes \(ShardID.byteCount) bytes")
        }
        return id
    }
}
