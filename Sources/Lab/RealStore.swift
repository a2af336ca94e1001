import Disk
import Glibc
import Logging
import Node
import Primitives
import Proofs
import Sealing

/// A provider's store as it is, in a folder of its own, with shards of 4 MiB of random bytes.
struct RealStore {
    /// Puts that are under way at once: enough to keep the writer busy, and 32 MiB of memory.
    private static let putsMax = 8

    let bench: AuditBench
    private let path: String
    private let store: ShardStore

    /// Makes and fills the store in `directory`.
    init(in directory: String, shards: Int) throws {
        path = "\(directory)/mefs-lab.\(getpid())"
        let key = try SigningKey(seed: [UInt8](repeating: 1, count: SigningKey.seedBytes))
        var logger = Logger(label: "lab")
        logger.logLevel = .critical
        store = try ShardStore(
            opening: path,
            node: key.publicKey.nodeID,
            capacityBytes: UInt64(shards + 16) * UInt64(Geometry.shardBytesMax + (64 << 10)),
            logger: logger
        )
        do {
            let entries = try Self.fill(store, shards: shards, owner: key.publicKey.nodeID)
            let store = store
            bench = AuditBench(
                name: "\(shards >> 8) GiB, real store",
                tree: try OrderTree(entries: entries),
                provider: key
            ) { entry, leaves in
                (try? store.leaves(leaves, of: entry)) ?? leaves.map { _ in .missing }
            }
        } catch {
            store.close()
            try? Directory.remove(tree: path)
            throw error
        }
    }

    private static func fill(
        _ store: ShardStore,
        shards: Int,
        owner: NodeID
    ) throws -> [OrderEntry] {
        let underWay = Condition<(puts: Int, failure: String?)>((0, nil))
        var generator = SeededGenerator(seed: 1)
        var entries: [OrderEntry] = []
        for _ in 0..<shards {
            let bytes = random(&generator)
            guard let id = ShardID(bytes: generator.bytes(ShardID.byteCount)) else { continue }
            let shard = bytes.withUnsafeBytes {
                PreparedShard(shard: id, owner: owner, hashing: $0)
            }
            entries.append(OrderEntry(shard: id, bytes: UInt64(bytes.count), root: shard.root))
            underWay.wait { state in state.puts < putsMax ? (state.puts += 1) : nil }
            store.put(shard, bytes: bytes, range: bytes.indices) { result in
                underWay.update { state in
                    state.puts -= 1
                    if case .failure(let error) = result { state.failure = "\(error)" }
                }
            }
        }
        let failure = underWay.wait { state in state.puts == 0 ? [state.failure] : nil }
        if case let text?? = failure.first { throw LabError("put: \(text)") }
        return entries
    }

    private static func random(_ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Geometry.shardBytesMax)
        bytes.withUnsafeMutableBytes { buffer in
            for offset in stride(from: 0, to: buffer.count, by: 8) {
                buffer.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
            }
        }
        return bytes
    }

    /// Reads all segments, 4 MiB at a time, and hashes them.
    func readEverything() throws -> WholeReading {
        let folder = path + "/segments"
        var buffer = [UInt8](repeating: 0, count: Geometry.shardBytesMax)
        let overhead = Usage.overhead()
        let start = Usage.now()
        for name in try Directory.list(folder) {
            let file = try Descriptor(opening: folder + "/" + name, .readOnly)
            var offset: UInt64 = 0
            while true {
                let count = try buffer.withUnsafeMutableBytes { buffer -> Int in
                    let count = try file.read(at: offset, into: buffer)
                    _ = SHA256.digest(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                    return count
                }
                guard count > 0 else { break }
                offset += UInt64(count)
            }
        }
        let used = Usage.now().since(start, overhead: overhead)
        return WholeReading(
            heldBytes: bench.tree.commitment.totalBytes,
            seconds: used.processorSeconds,
            wallSeconds: used.wallSeconds,
            reads: Double(used.reads),
            readBytes: Double(used.readBytes)
        )
    }

    /// Ends the store and removes its folder.
    func remove() {
        store.close()
        try? Directory.remove(tree: path)
    }
}
