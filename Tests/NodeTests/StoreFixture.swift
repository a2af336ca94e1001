import Disk
import Glibc
import Logging
import Network
import Node
import Primitives
import Sealing
import Synchronization
import Testing
import Transport

/// Runs `body` with a fresh directory, removed after.
func withScratch(_ body: (String) throws -> Void) throws {
    let path = "/tmp/mefs-node-" + Hex.encode(SecureRandom.bytes(8))
    try Directory.make(path)
    defer { try? Directory.remove(tree: path) }
    try body(path)
}

/// Collects what is logged.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func contains(_ part: String) -> Bool { all.contains { $0.contains(part) } }

    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var logLevel = Logger.Level.debug
        var metadata = Logger.Metadata()

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.lines.withLock { $0.append("\(event.level): \(event.message)") }
        }
    }
}

/// Waits until `condition` holds; `false` if it does not within a minute.
func eventually(within seconds: Int = 60, _ condition: () -> Bool) -> Bool {
    for _ in 0..<seconds * 100 {
        if condition() { return true }
        usleep(10_000)
    }
    return false
}

/// A shard made of a seed.
struct TestShard: Hashable, Sendable {
    let id: ShardID
    let bytes: [UInt8]
    let root: Digest

    init(_ seed: UInt64, count: Int = 8 << 10) throws {
        var random = SeededGenerator(seed: seed)
        id = try #require(ShardID(bytes: random.bytes(16)))
        // Words and not bytes of the generator: megabytes of them are wanted.
        let words = (0..<count / 8).map { _ in random.next() }
        bytes = words.withUnsafeBytes { Array($0) }
        root = bytes.withUnsafeBytes { MerkleTree.root(of: $0) }
    }

    init(id: ShardID, bytes: [UInt8], root: Digest) {
        self.id = id
        self.bytes = bytes
        self.root = root
    }

    /// The same bytes under another id.
    init(renaming other: TestShard, to seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        id = try #require(ShardID(bytes: random.bytes(16)))
        bytes = other.bytes
        root = other.root
    }
}

/// A store, used as its server does.
struct TestStore {
    let store: ShardStore
    let owner: NodeID

    init(
        _ directory: String,
        capacity: UInt64 = 1 << 30,
        owner: UInt8 = 50,
        log: LogLines = LogLines()
    ) throws {
        store = try ShardStore(
            opening: directory,
            node: try Samples.key(1).publicKey.nodeID,
            capacityBytes: capacity,
            logger: log.logger
        )
        self.owner = try Samples.key(owner).publicKey.nodeID
    }

    func startPut(_ shard: TestShard, owner other: NodeID? = nil) -> Pending<Void> {
        let prepared = shard.bytes.withUnsafeBytes {
            PreparedShard(shard: shard.id, owner: other ?? owner, hashing: $0)
        }
        let done = Pending<Void>()
        store.put(prepared, bytes: shard.bytes, range: shard.bytes.indices) { done.fulfil($0) }
        return done
    }

    func put(_ shard: TestShard, owner other: NodeID? = nil) throws(NetworkError) {
        try startPut(shard, owner: other).wait(for: .seconds(60))
    }

    func delete(_ shards: [TestShard], owner other: NodeID? = nil) throws(NetworkError) {
        let done = Pending<Void>()
        store.delete(shards.map(\.id), owner: other ?? owner) { done.fulfil($0) }
        try done.wait(for: .seconds(60))
    }

    func get(
        _ shard: TestShard,
        _ range: Range<Int>? = nil,
        owner other: NodeID? = nil
    ) throws(NetworkError) -> [UInt8] {
        let range = range ?? shard.bytes.indices
        let query = GetShard(
            owner: other ?? owner,
            shard: shard.id,
            offset: UInt32(range.lowerBound),
            count: UInt32(range.count)
        )
        let read = try store.find(query)
        var buffer = [UInt8](repeating: 0xee, count: read.bufferBytes)
        let result = buffer.withUnsafeMutableBytes { bytes -> Result<Range<Int>, NetworkError> in
            do throws(NetworkError) {
                return .success(try read.read(into: bytes))
            } catch {
                return .failure(error)
            }
        }
        return Array(buffer[try result.get()])
    }

    /// Whether the store has exactly the shard's bytes.
    func has(_ shard: TestShard) -> Bool { (try? get(shard)) == shard.bytes }

    /// The code that getting the shard fails with.
    func failure(_ shard: TestShard) -> NetworkError.Code? {
        do throws(NetworkError) {
            _ = try get(shard)
            return nil
        } catch {
            return error.code
        }
    }
}
