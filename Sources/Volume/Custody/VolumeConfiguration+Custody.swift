package import Auditor
package import Sealing

extension VolumeConfiguration {
    /// How a volume's shards are looked after.
    package struct Custody: Sendable {
        /// The owner's key: it signs orders, receipts and what keepers may do.
        package var owner: SigningKey
        /// Path of the database of orders and receipts; created if absent.
        package var databasePath: String
        /// Path of the database of what others have promised to keep; created if absent.
        var retentionPath: String { databasePath + ".locks" }
        /// Whose beacons are believed; the first one is who may look after the volume while it is
        /// not open.
        package var keepers: [PublicKey]
        package var rates = CustodyConfiguration()
        /// Whether that keeper is to; if not, what it was allowed before is taken back.
        package var delegates = true

        package init(owner: SigningKey, databasePath: String, keepers: [PublicKey]) {
            self.owner = owner
            self.databasePath = databasePath
            self.keepers = keepers
        }
    }
}
