import Primitives
import Proofs
import Sealing
import Simulation

/// An order as large as one likes, of shards whose bytes are made when they are asked for.
///
/// The order's tree is real. To spare the hashing of it all, entries share the contents of a few
/// shards; an audit neither knows nor cares.
struct SyntheticStore {
    private static let contentsMax = 64

    let bench: AuditBench

    init(shards: Int) throws {
        let leafCount = Geometry.shardBytesMax / Geometry.leafBytes
        let contents = (0..<min(shards, Self.contentsMax)).map { number in
            SyntheticShard(number: UInt64(number), leafCount: leafCount)
        }
        var generator = SeededGenerator(seed: 2)
        let entries = try (0..<shards).map { number -> OrderEntry in
            guard let id = ShardID(bytes: generator.bytes(ShardID.byteCount)) else {
                throw LabError("no id")
            }
            let entry = contents[number % contents.count].entry
            return OrderEntry(shard: id, bytes: entry.bytes, root: entry.root)
        }
        let tree = try OrderTree(entries: entries)
        bench = AuditBench(
            name: "\(shards >> 8) GiB, synthetic",
            tree: tree,
            provider: try SigningKey(seed: [UInt8](repeating: 1, count: SigningKey.seedBytes)),
            isOnDisk: false
        ) { entry, leaves in
            guard let position = tree.position(of: entry.shard) else {
                return leaves.map { _ in .missing }
            }
            let shard = contents[position % contents.count]
            return leaves.map(shard.answer)
        }
    }
}
