package import Logging
package import Network
package import Primitives
package import Sealing
import Metadata
import Wire

/// Brings a volume back from its network alone: from the newest head that keepers have.
package struct VolumeRecovery: Sendable {
    private let key: VolumeKey
    private let reader: CheckpointReader
    private let holders: RetainedHolders?

    /// - Parameters:
    ///   - key: The volume's.
    ///   - network: Where it is.
    ///   - retainer: The owner, if the head is one that keepers retain: its shards are looked for
    ///     at all providers, since nobody tells where those of an old head are by now.
    ///   - logger: Hears of providers that fail.
    package init(
        key: VolumeKey,
        network: any StorageNetwork,
        retainer: NodeID? = nil,
        logger: Logger
    ) {
        self.key = key
        holders = retainer.map { RetainedHolders(owner: $0, network: network) }
        reader = CheckpointReader(
            StripeReader(
                network: network,
                key: key,
                meters: Meters(),
                custody: nil,
                logger: logger
            )
        )
    }

    /// What a head names, before anything but its index was read.
    package struct Plan: Sendable {
        package let version: UInt64
        /// When the head was made.
        package let time: Timestamp
        /// What the volume was called where it was made.
        package let name: String
        /// Bytes of metadata, as they are sealed.
        package let bytes: UInt64
        /// Files whose newest bytes were on the host of its maker alone.
        package var behind: Set<InodeNumber> { Set(index.behind.map(\.ino)) }
        /// Whether there were more of them than a head names.
        package var isBehindCut: Bool { index.behind.count >= CheckpointIndex.behindMax }
        fileprivate let head: [UInt8]
        fileprivate let place: CheckpointPlace
        fileprivate let index: CheckpointIndex
    }

    /// Reads what a head consists of.
    ///
    /// - Throws: `corrupt` if the head is not of this key's volume, `unavailable` if too few
    ///   providers answer.
    package func plan(_ head: VolumeHead) throws(FileSystemError) -> Plan {
        let place = try HeadBody.open(head.body, key: key.checkpointKey)
        let stripes = try holders?.settled(place.stripes.map(\.record)) ?? []
        let index = try reader.index(at: place) { id in stripes.first { $0.id == id } }
        guard index.version == head.version else {
            throw FileSystemError(
                .corrupt,
                "head \(head.version) has the index of head \(index.version)"
            )
        }
        return Plan(
            version: head.version,
            time: index.time,
            name: index.name,
            bytes: index.pieces.reduce(0) { sum, piece in
                piece.parts.reduce(sum) { $0 + $1.sealedBytes }
            },
            head: head.encoded,
            place: place,
            index: index
        )
    }

    /// Makes the volume's metadata database at `path`, where none is.
    ///
    /// `report` is called with the bytes of metadata read so far and in all.
    ///
    /// - Returns: Paths of files that are older than the head, or end earlier, because their newest
    ///   bytes were on the lost host alone; at most 1,000.
    package func restore(
        _ plan: Plan,
        to path: String,
        report: (_ done: UInt64, _ total: UInt64) -> Void
    ) throws(FileSystemError) -> [String] {
        try reader.restore(
            plan.index,
            at: plan.place,
            head: plan.head,
            to: path,
            where: { _ in nil },
            holders: holders,
            report: report
        )
    }
}
