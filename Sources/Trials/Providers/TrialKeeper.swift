import Disk
import Lease
import Network
import Primitives
import Transport

/// One simulated keeper: heads and leases of the owner's volumes, kept as the real ones do.
///
/// It is another machine than the owner's, and never crashes.
struct TrialKeeper: Sendable {
    let id: NodeID
    private var heads: [VolumeID: VolumeHead] = [:]
    private var leases: [VolumeID: VolumeLease] = [:]

    init(id: NodeID) { self.id = id }

    /// Answers what the owner asks; `nil` if keepers of trials do not do that.
    mutating func answer(_ query: any KeeperQuery) -> Result<any Sendable, NetworkError>? {
        switch query {
        case let query as PutHead: put(query.head).map { $0 }
        case let query as GetHead:
            .success(
                HeadList(
                    head: heads[query.volume],
                    term: max(heads[query.volume]?.term ?? 0, leases[query.volume]?.term ?? 0)
                )
            )
        case let query as HoldLease: .success(hold(query))
        case let query as ReleaseLease: .success(release(query))
        default: nil
        }
    }

    private mutating func put(_ head: VolumeHead) -> Result<Nothing, NetworkError> {
        guard head.isSignatureValid else {
            return .failure(NetworkError(.unauthorized, "the head is not signed by its owner"))
        }
        if let refusal = head.refusal(
            after: heads[head.volume],
            newestTerm: leases[head.volume]?.term ?? 0
        ) {
            return .failure(refusal)
        }
        heads[head.volume] = head
        return .success(Nothing())
    }

    private mutating func hold(_ query: HoldLease) -> LeaseState {
        let now = Clock.sinceBoot()
        let headTerm = heads[query.volume]?.term ?? 0
        switch VolumeLease.outcome(
            of: query.request,
            present: leases[query.volume],
            headTerm: headTerm,
            at: now,
            LeaseTimes()
        ) {
        case .granted(let lease), .renewed(let lease): leases[query.volume] = lease
        case .refused: break
        }
        return VolumeLease.state(
            for: query.request,
            lease: leases[query.volume],
            headTerm: headTerm,
            at: now,
            LeaseTimes()
        )
    }

    private mutating func release(_ query: ReleaseLease) -> Nothing {
        if let lease = leases[query.volume], lease.holder == query.holder, lease.term == query.term
        {
            leases[query.volume]?.isReleased = true
        }
        return Nothing()
    }
}
