import Disk
import Logging
import Metadata
import Primitives
import Sealing
import Transport

/// Places bytes of a checkpoint in stripes of their own, one after the other.
///
/// Until `MetadataStore.completeCheckpoint` they are stripes being placed, which a crash or
/// `abandon` makes garbage. Belongs to one thread.
final class CheckpointStripes {
    private let configuration: VolumeConfiguration
    private let metadata: MetadataStore
    private let placer: StripePlacer
    private let key: FileKey
    private let builder: StripeBuilder
    /// Stripes whose shards are all acknowledged.
    private(set) var placed: [StripeID] = []

    init(
        configuration: VolumeConfiguration,
        metadata: MetadataStore,
        placer: StripePlacer
    ) throws(FileSystemError) {
        self.configuration = configuration
        self.metadata = metadata
        self.placer = placer
        key = configuration.key.checkpointKey
        builder = try StripeBuilder(code: configuration.code)
        try placer.checkProviders(for: configuration.code)
    }

    /// Seals bytes behind the others, in parts of 1 MiB; places stripes that are full.
    func add(_ bytes: [UInt8]) throws(FileSystemError) -> [BlockLocation] {
        var locations: [BlockLocation] = []
        for start in stride(from: 0, to: bytes.count, by: Geometry.blockBytes) {
            let part = Array(bytes[start..<min(bytes.count, start + Geometry.blockBytes)])
            if !builder.hasRoom(plainBytes: part.count) { try flush() }
            locations.append(try seal(part))
        }
        return locations
    }

    private func seal(_ part: [UInt8]) throws(FileSystemError) -> BlockLocation {
        do {
            return try part.withUnsafeBytes { try builder.add($0, key: key) }.location
        } catch let error as FileSystemError {
            throw error
        } catch {
            throw FileSystemError(.inputOutput, "cannot seal: \(error)")
        }
    }

    /// Places what was added since the last time.
    func flush() throws(FileSystemError) {
        guard builder.payloadBytes > 0 else { return }
        let code = configuration.code
        let ids = (0..<code.n).map { _ in ShardNames.newID(of: configuration.id) }
        let shards = try builder.finish(shards: ids, key: configuration.key)
        let record = try placer.begin(
            builder.stripe,
            code: code,
            payloadBytes: builder.payloadBytes,
            ids: ids,
            roots: shards.map(\.root)
        )
        do throws(FileSystemError) {
            try placer.place(
                record,
                bytes: shards.map(\.bytes),
                progress: StripeProgress(shardCount: code.n)
            )
        } catch {
            try metadata.abandonStripe(record.id)
            throw error
        }
        placed.append(record.id)
        builder.reset()
    }

    /// The stripes placed so far, with their shards where they are.
    func records() throws(FileSystemError) -> [CheckpointStripe] {
        var records: [CheckpointStripe] = []
        for id in placed { records.append(CheckpointStripe(try metadata.stripe(id))) }
        return records
    }

    /// Gives up all of it.
    func abandon() throws(FileSystemError) {
        for id in placed { try metadata.abandonStripe(id) }
        placed = []
        builder.reset()
    }
}
