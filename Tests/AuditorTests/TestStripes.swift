import Auditor
import Network
import Primitives
import Synchronization

/// Stripes in memory, with a record of all moves.
final class TestStripes: StripeSource {
    struct State {
        var stripes: [StripeID: StripeManifest] = [:]
        var moves: [(stripe: StripeID, index: Int, from: NodeID, to: NodeID)] = []
        var fails = false
    }

    struct Failure: Error {}

    let state = Mutex(State())

    var all: [StripeManifest] {
        state.withLock { $0.stripes.values.sorted { $0.id < $1.id } }
    }

    var moveCount: Int { state.withLock { $0.moves.count } }

    /// Stripes in the order in which shards of them moved.
    var movedStripes: [StripeID] { state.withLock { $0.moves.map(\.stripe) } }

    func stripes(after: StripeID?, limit: Int) throws -> [StripeManifest] {
        if state.withLock({ $0.fails }) { throw Failure() }
        return Array(all.filter { stripe in after.map { $0 < stripe.id } ?? true }.prefix(limit))
    }

    func stripe(_ id: StripeID) throws -> StripeManifest? {
        state.withLock { $0.stripes[id] }
    }

    func moveShard(_ id: StripeID, index: Int, from: NodeID, to: NodeID) throws -> Bool {
        state.withLock { state in
            guard let stripe = state.stripes[id],
                stripe.shards.contains(where: {
                    Int($0.index) == index && $0.provider == from
                })
            else { return false }
            state.stripes[id] = stripe.moving(index: UInt8(index), to: to)
            state.moves.append((id, index, from, to))
            return true
        }
    }
}
