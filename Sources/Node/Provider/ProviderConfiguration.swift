package import Network
package import Primitives
package import Transport
import Disk

/// How a provider runs.
package struct ProviderConfiguration: Sendable {
    /// Whom a provider reports to.
    package enum Keepers: Sendable {
        /// Keepers with known keys, of a network file.
        case known([KeeperEndpoint])
        /// One keeper whose key is taken at the first contact and pinned in `DIR/keeper`.
        case firstContact(NodeAddress)
    }

    /// Directory of key, index and segments; made if missing.
    package var directory: String
    /// The most bytes that shards may take, with what belongs to them.
    ///
    /// Not below what is stored.
    package var capacityBytes: UInt64
    package var keepers: Keepers
    /// Where to listen; port 0 takes one that is free.
    ///
    /// Default: all addresses, port 0.
    package var listen: NodeAddress
    /// Where others reach it; default: the address that the keeper connection comes from (or
    /// `listen`'s, if that is one address) with the listening port.
    package var advertise: NodeAddress?
    /// Providers that fail together give the same; default: the node's id, shared by none.
    package var domain: String?
    /// What it bears from its peers.
    package var limits = ServerLimits()
    /// Threads that move bytes of sockets.
    package var eventLoopThreads = 1
    /// Bytes a second that the scrub rereads; default: the whole store in a month, at least
    /// 1 MiB/s and at most 20 MiB/s.
    package var scrubBytesPerSecond: UInt64?
    /// Threads that hash and read; 4, so that a few reads may wait for a disk at once.
    package var workerThreads = 4
    /// The wall clock, by which shards are retained.
    package var now: @Sendable () -> Timestamp = { Clock.now() }
    /// Put around what answers requests; for providers that misbehave on purpose.
    package var wrapper: (@Sendable (any RequestHandler) -> any RequestHandler)?

    package init(
        directory: String,
        capacityBytes: UInt64,
        listen: NodeAddress? = nil,
        advertise: NodeAddress? = nil,
        domain: String? = nil,
        keepers: Keepers
    ) {
        self.directory = directory
        self.capacityBytes = capacityBytes
        self.keepers = keepers
        self.listen = listen ?? .anywhere
        self.advertise = advertise
        self.domain = domain
    }
}
