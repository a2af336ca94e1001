import Disk
package import Logging
package import Network
package import Primitives
package import Proofs
package import Transport

/// The orders of one volume, one live at each provider, and what their audits showed.
package final class OrderBook: Sendable {
    package init(
        path: String,
        identity: CustodyIdentity,
        network: any StorageNetwork,
        configuration: CustodyConfiguration = CustodyConfiguration(),
        logger: Logger,
        now: @escaping @Sendable () -> Timestamp = { Clock.now() }
    ) throws(CustodyError) {}

    /// Opens or finds the volume's order at a provider, which takes no shard before; cached.
    ///
    /// Blocks the first time.
    package func ensureOrder(with provider: NodeID) throws(NetworkError) {}

    /// Puts shards that a provider holds under order soon: queued, amended in batches.
    package func add(_ entries: [OrderEntry], to provider: NodeID) {}

    /// Takes shards out of the order with a provider, which may be told to delete them then.
    ///
    /// Blocks. Shards that are not under order are skipped.
    package func remove(_ shards: [ShardID], from provider: NodeID) throws(NetworkError) {}

    /// Amends all orders for which something is queued.
    ///
    /// Blocks.
    package func flush() {}

    /// When the provider last proved an order that had the shard; `nil` if it never did, or if the
    /// shard is known to be lost there.
    package func provedAt(_ shard: ShardID, at provider: NodeID) -> Timestamp? { nil }

    /// All orders, live ones first.
    package func orders() throws(CustodyError) -> [CustodyOrder] { [] }

    /// The newest receipts of an order, newest first.
    package func receipts(
        of order: OrderID,
        limit: Int
    ) throws(CustodyError) -> [Receipt] { [] }

    /// All that a third party needs to check the receipts of an order.
    package func receiptFile(order: OrderID) throws(CustodyError) -> ReceiptFile {
        throw CustodyError(.notFound, "no such order")
    }
}
