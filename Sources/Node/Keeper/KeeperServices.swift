import Network
import Primitives
import Reliability
import Sealing
import Transport

/// The parts of a running keeper, as its requests and its custodians use them.
struct KeeperServices: Sendable {
    let identity: SigningKey
    let state: KeeperState
    let histories: ProviderHistories
    let beacons: BeaconChain
    let register: CustodyRegister
    let heads: HeadStore
    let retained: RetainedHeadStore
    let leases: LeaseStore
    let delegations: DelegationStore
    /// The keeper's own connections, to providers.
    let pool: ConnectionPool
    /// The wall clock.
    let now: @Sendable () -> Timestamp

    var id: NodeID { identity.publicKey.nodeID }

    func scores(_ query: ListScores, now: Timestamp) throws -> ScoreList {
        let all = try histories.signedScores(by: identity, now: now)
        let rest = query.after.map { after in all.filter { $0.provider > after } } ?? all
        return ScoreList(
            scores: Array(rest.prefix(ScoreList.scoresMax)),
            hasMore: rest.count > ScoreList.scoresMax
        )
    }
}
