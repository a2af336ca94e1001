package import Transport

/// How a keeper runs.
package struct KeeperConfiguration: Sendable {
    /// Directory of key and database; made if missing.
    package var directory: String
    /// Where to listen; port 0 takes one that is free.
    ///
    /// Default: all addresses, port 0.
    package var listen: NodeAddress
    /// Where others reach it, for network files; default: where who asks has reached it.
    package var advertise: NodeAddress?
    /// What it bears from its peers.
    package var limits: ServerLimits

    /// Every provider and every mounted volume keeps a connection to the keeper.
    private static let connectionsMax = 1024
    /// No request to a keeper is larger than a registration with its wrapped key.
    private static let frameBytesMax = 64 << 10

    package init(
        directory: String,
        listen: NodeAddress? = nil,
        advertise: NodeAddress? = nil
    ) {
        limits = ServerLimits()
        limits.connectionsMax = Self.connectionsMax
        limits.frameBytesMax = Self.frameBytesMax
        self.directory = directory
        self.listen = listen ?? .anywhere
        self.advertise = advertise
    }
}
