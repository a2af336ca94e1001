import Auditor
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Transport

/// Who looks after the shards of an open volume: the book of its orders, the custodian that audits
/// and repairs, and the keeper that does so while the volume is not open.
final class VolumeCustody: Sendable {
    let book: OrderBook
    let custodian: Custodian
    let delegation: Delegation?
    private let stripes: MetadataStripes
    private let logger: Logger

    init(
        _ configuration: VolumeConfiguration,
        _ custody: VolumeConfiguration.Custody,
        metadata: MetadataStore,
        network: any StorageNetwork,
        logger: Logger
    ) throws(FileSystemError) {
        self.logger = logger
        let identity = CustodyIdentity(
            volume: configuration.id,
            ownerKey: custody.owner.publicKey,
            signer: custody.owner,
            repairKey: configuration.key.repairKey,
            keepers: custody.keepers
        )
        let stripes = MetadataStripes(metadata: metadata, changes: StripeChanges())
        self.stripes = stripes
        do throws(CustodyError) {
            book = try OrderBook(
                path: custody.databasePath,
                identity: identity,
                network: network,
                configuration: custody.rates,
                logger: logger
            )
        } catch {
            throw FileSystemError(
                .corrupt,
                "\(custody.databasePath): \(error.message); put the file back, or take it away to"
                    + " begin a new book of receipts"
            )
        }
        let custodian = Custodian(
            identity: identity,
            configuration: custody.rates,
            book: book,
            source: stripes,
            network: network,
            logger: logger
        )
        self.custodian = custodian
        delegation = custody.keepers.first.map { keeper in
            Delegation(
                of: configuration,
                to: keeper.nodeID,
                owner: custody.owner,
                isWanted: custody.delegates,
                stripes: stripes,
                custodian: custodian,
                network: network,
                logger: logger
            )
        }
    }

    func start() throws(FileSystemError) {
        do throws(CustodyError) {
            try custodian.start()
        } catch {
            throw FileSystemError(.inputOutput, error.message)
        }
        try delegation?.start()
    }

    /// Ends the threads; what is queued is brought to providers and keeper, for a bounded time.
    func stop() {
        custodian.stop()
        delegation?.stop()
    }

    // MARK: What the data path tells

    /// Sees to it that the provider may be sent shards.
    func ensureOrder(with provider: NodeID) throws(NetworkError) {
        try book.ensureOrder(with: provider)
    }

    /// A stripe's shards are stored and its blocks found there.
    func notePlaced(_ stripe: StripeID) {
        stripes.changes.note([stripe])
        do {
            // As it is now: providers may have been replaced while it was placed.
            if let manifest = try stripes.stripe(stripe) { custodian.noteNewStripe(manifest) }
        } catch {
            logger.warning("stripe \(stripe.short) is put under order later: \(error)")
        }
    }

    /// A shard was sent or read, or its provider did not do it.
    func noteTransfer(with provider: NodeID, ok: Bool) {
        custodian.noteTransfer(with: provider, ok: ok)
    }

    /// A shard's provider gave other bytes than were stored, or none.
    func noteDoubt(_ index: Int, of stripe: StripeID) {
        custodian.noteDoubt(stripe: stripe, index: index)
    }

    /// Takes dead shards out of their orders, so that their providers delete them.
    func release(_ shards: [DeadShard], from provider: NodeID) throws(NetworkError) {
        stripes.changes.note(shards.map(\.stripe))
        try book.remove(shards.map(\.record.shard), from: provider)
    }

    // MARK: What the data path asks

    /// A provider's share of new shards, compared with others'.
    func placementWeight(of provider: NodeID) -> Double {
        custodian.placementWeight(of: provider)
    }

    /// When the order that was not proved for longest was proved; `nil` while one never was.
    var lastProofOfAll: Timestamp? { custodian.status.lastProofOfAll }

    /// When the provider that proved least lately to hold a shard of the stripe did so; `nil` if
    /// one has not yet.
    func provedAt(_ stripe: StripeRecord) -> Timestamp? {
        guard stripe.shards.count == stripe.code.n else { return nil }
        var oldest: Timestamp?
        for shard in stripe.shards {
            guard let time = book.provedAt(shard.shard, at: shard.provider) else { return nil }
            oldest = oldest.map { min($0, time) } ?? time
        }
        return oldest
    }
}
