package import Transport

/// How a keeper runs.
package struct KeeperConfiguration: Sendable {
    /// Directory of key and database; made if missing.
    package var directory: String
    /// Where to listen; port 0 takes one that is free. Default: all addresses, port 0.
    package var listen: NodeAddress
    /// Where others reach it, for network files; default: where who asks has reached it.
    package var advertise: NodeAddress?
    /// What it bears from its peers.
    package var limits = ServerLimits()

    package init(
        directory: String, listen: NodeAddress? = nil, advertise: NodeAddress? = nil
    ) {
        self.directory = directory
        self.listen = listen ?? .anywhere
        self.advertise = advertise
    }
}
