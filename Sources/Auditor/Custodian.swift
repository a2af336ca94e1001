import Disk
package import Logging
package import Network
package import Primitives
package import Reliability

/// Looks after a volume: audits its orders, rebuilds what is lost, drains who leaves.
package final class Custodian: Sendable {
    package let book: OrderBook

    /// `crew` runs what waits for the network; several custodians may share one.
    package init(
        identity: CustodyIdentity,
        configuration: CustodyConfiguration = CustodyConfiguration(),
        book: OrderBook,
        source: any StripeSource,
        network: any StorageNetwork,
        crew: WorkCrew = WorkCrew(limit: WorkCrew.usualLimit),
        logger: Logger,
        now: @escaping @Sendable () -> Timestamp = { Clock.now() }
    ) {
        self.book = book
    }

    /// Starts the thread that ticks once a second; not needed where `tick` is called otherwise.
    package func start() throws(CustodyError) {}

    /// Ends the thread and waits for what is under way; amends what is queued if `flushing`.
    package func stop(flushing: Bool = true) {}

    /// Does what is due; cheap if nothing is.
    package func tick() {}

    /// Challenges all live orders, or one provider's, now and with `leaves` (460) leaves.
    ///
    /// Blocks until all have answered or not.
    package func auditNow(
        leaves: UInt32? = nil,
        provider: NodeID? = nil
    ) throws(CustodyError) -> [AuditResult] { [] }

    /// What is known, as of the last tick; cheap.
    package var status: CustodyStatus { CustodyStatus() }

    /// A provider's share of new shards (`Placement.Candidate.weight`).
    package func placementWeight(of provider: NodeID) -> Double { 1 }

    package func score(of provider: NodeID) -> Score { .unknown }

    /// A read or a put of a shard went well, or not; cheap enough for every one of them.
    package func noteTransfer(with provider: NodeID, ok: Bool) {}

    /// A stripe is placed: its shards are to be put under order.
    package func noteNewStripe(_ stripe: StripeManifest) {}

    /// A shard gave wrong bytes or none: it is read whole and checked, and rebuilt if need be.
    package func noteDoubt(stripe: StripeID, index: Int) {}

    /// Another custodian of this volume moved a shard (`FetchRepairs`): `from` may have a copy.
    package func noteMoved(_ repair: RepairRecord) {}

    /// Another custodian of this volume takes over: spares and copies to be removed are its
    /// business now.
    package func handOver() {}
}
