import Primitives
import Proofs
import Sealing

/// A provider that keeps an order, with all that its owner, its keeper and itself sign.
struct Custody {
    let owner: SigningKey
    let keeper: SigningKey
    let provider: SigningKey
    let terms: OrderTerms
    var shards: [ShardID: [UInt8]] = [:]
    /// The chunk roots that the provider computed when a shard was put.
    var chunks: [ShardID: [UInt8]] = [:]
    var tree = OrderTree()
    var state: OrderState
    var beacons: [BeaconBlock] = []

    static let volume = VolumeID(bytes: [UInt8](repeating: 0xa0, count: 16))
    static let opened = Timestamp(seconds: 1_800_000_000, nanoseconds: 0)
    static let epochSeconds: UInt32 = 3600

    /// Opens an order; other seeds make other keys.
    init(seed: UInt8 = 1) throws {
        owner = try SigningKey(seed: [UInt8](repeating: seed, count: 32))
        keeper = try SigningKey(seed: [UInt8](repeating: seed &+ 64, count: 32))
        provider = try SigningKey(seed: [UInt8](repeating: seed &+ 128, count: 32))
        let volume = VolumeID(bytes: [UInt8](repeating: 0xa0, count: 16))
        terms = OrderTerms(
            volume: volume ?? Self.noVolume(),
            ownerKey: owner.publicKey,
            provider: provider.publicKey.nodeID,
            generation: 0,
            opened: Self.opened
        )
        let proposal = try OrderProposal(
            order: terms.id,
            sequence: 0,
            commitment: .empty,
            at: Self.opened,
            signedBy: owner
        )
        state = try OrderState(accepting: proposal, signedBy: provider)
    }

    private static func noVolume() -> VolumeID { preconditionFailure("16 bytes") }

    /// Adds shards of so many leaves, and signs the order anew.
    mutating func add(leaves: [Int], seed: UInt64 = 7) throws {
        var generator = SeededGenerator(seed: seed)
        var entries: [OrderEntry] = []
        for count in leaves {
            let shard = ShardID(bytes: generator.bytes(16)) ?? entries[0].shard
            let bytes = generator.bytes(count * Geometry.leafBytes)
            shards[shard] = bytes
            chunks[shard] = bytes.withUnsafeBytes { MerkleTree.chunkRoots(of: $0).chunks }
            entries.append(
                OrderEntry(shard: shard, bytes: UInt64(bytes.count), root: Self.root(bytes))
            )
        }
        try amend(tree.changes(adding: entries, removing: []))
    }

    mutating func amend(_ changes: [OrderChange]) throws {
        try tree.apply(changes)
        let proposal = try OrderProposal(
            order: terms.id,
            sequence: state.sequence + 1,
            commitment: tree.commitment,
            at: Self.opened,
            signedBy: owner
        )
        state = try OrderState(accepting: proposal, signedBy: provider)
    }

    /// The challenge of an epoch; the beacon goes on as far as it needs to.
    mutating func challenge(epoch: UInt64 = 500_001, leaves: UInt32) throws -> Challenge {
        let block = try block(of: epoch)
        return Challenge(
            order: terms.id,
            provider: terms.provider,
            epoch: block.epoch,
            beacon: block.value,
            sequence: state.sequence,
            commitment: state.commitment,
            leaves: leaves
        )
    }

    private mutating func block(of epoch: UInt64) throws -> BeaconBlock {
        if let block = beacons.first(where: { $0.epoch.rawValue == epoch }) { return block }
        let block = try BeaconBlock.next(
            after: beacons.last,
            epoch: Epoch(epoch),
            epochSeconds: Self.epochSeconds,
            signedBy: keeper
        )
        beacons.append(block)
        return block
    }

    /// What an honest provider answers.
    func prove(_ challenge: Challenge, damaged: [ShardID] = []) throws -> Proof {
        try Prover.prove(challenge, over: tree, damaged: damaged, signedBy: provider, reading: read)
    }

    /// The answers for `leaves` of a shard, if the bytes have the roots they had.
    func read(_ entry: OrderEntry, _ leaves: [Int]) -> [LeafAnswer] {
        guard let bytes = shards[entry.shard], let roots = chunks[entry.shard] else {
            return leaves.map { _ in .missing }
        }
        return Self.answers(from: bytes, chunkRoots: roots, leaves)
    }

    /// The answers from `bytes`; `chunkRoots` are those of other bytes if they changed.
    static func answers(
        from bytes: [UInt8],
        chunkRoots: [UInt8],
        _ leaves: [Int]
    ) -> [LeafAnswer] {
        let leafCount = bytes.count / Geometry.leafBytes
        guard let chunks = MerkleChunks(leafCount: leafCount, roots: chunkRoots) else { return [] }
        return bytes.withUnsafeBytes { bytes in
            leaves.map { leaf in
                let start = leaf / MerkleTree.chunkLeaves * MerkleTree.chunkBytes
                let end = min(start + MerkleTree.chunkBytes, bytes.count)
                let chunk = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                guard leaf < leafCount, let path = chunks.path(leaf: leaf, chunk: chunk) else {
                    return .corrupt
                }
                let first = leaf * Geometry.leafBytes
                return .leaf(bytes: Array(bytes[first..<first + Geometry.leafBytes]), path: path)
            }
        }
    }

    static func root(_ bytes: [UInt8]) -> Digest {
        bytes.withUnsafeBytes { MerkleTree.root(of: $0) }
    }
}
