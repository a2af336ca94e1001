package import Auditor
package import Lease
package import Transport
import Network

/// How a keeper runs.
package struct KeeperConfiguration: Sendable {
    /// The lengths that an epoch may have, in seconds.
    package static let epochSecondsBounds: ClosedRange<UInt32> = 1...86_400
    /// An hour: 40 leaves in each find the loss of 1 % within a day.
    package static let epochSecondsUsual: UInt32 = 3600

    /// Directory of key and databases; made if missing.
    package var directory: String
    /// Where to listen; port 0 takes one that is free.
    ///
    /// Default: all addresses, port 0.
    package var listen: NodeAddress
    /// Where others reach it, for network files; default: where who asks has reached it.
    package var advertise: NodeAddress?
    /// Seconds of an epoch; fixed when the keeper starts for the first time.
    ///
    /// `nil`: as it was then, or an hour.
    package var epochSeconds: UInt32?
    /// How volumes are looked after whose owners are away.
    package var custody = CustodyConfiguration()
    /// How long an owner's word that it looks after a volume itself keeps the keeper away.
    package var holdLasts = HoldVolume.lasts
    /// How long writer leases live.
    package var leaseTimes = LeaseTimes()
    /// What it bears from its peers.
    package var limits: ServerLimits

    /// Every provider and every mounted volume keeps a connection to the keeper.
    private static let connectionsMax = 1024
    /// The largest requests are a volume's stripes, which come in pieces of this at most.
    private static let frameBytesMax = 1 << 20

    package init(
        directory: String,
        listen: NodeAddress? = nil,
        advertise: NodeAddress? = nil,
        epochSeconds: UInt32? = nil
    ) {
        limits = ServerLimits()
        limits.connectionsMax = Self.connectionsMax
        limits.frameBytesMax = Self.frameBytesMax
        self.directory = directory
        self.listen = listen ?? .anywhere
        self.advertise = advertise
        self.epochSeconds = epochSeconds
    }
}
