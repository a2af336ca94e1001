package import Primitives
package import Proofs
package import Transport
import SQLite

extension OrderBook {
    /// Shards under the live order with a provider, from a place of it on, as the book has them.
    ///
    /// - Returns: At most `limit`, and the place to go on from; `nil` at the end.
    package func shards(
        at provider: NodeID,
        from position: Int,
        limit: Int
    ) throws(NetworkError) -> (entries: [OrderEntry], next: Int?) {
        guard let order = liveOrder(with: provider) else { return ([], nil) }
        let found = try read { (store) throws(SQLiteError) in
            try store.liveEntries(of: order.row, from: position, limit: limit)
        }
        let next = found.count < limit ? nil : found.last.map { $0.position + 1 }
        return (found.map(\.entry), next)
    }
}
