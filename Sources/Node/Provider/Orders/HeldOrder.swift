import Primitives
import Proofs
import Sealing

/// An order of a provider in memory, without its tree.
struct HeldOrder {
    let number: Int64
    let terms: OrderTerms
    private(set) var state: OrderState
    /// Of the client that proposed the state, where that is not the owner.
    private(set) var grant: Grant?

    init(_ head: OrderDatabase.Head) {
        number = head.number
        terms = head.terms
        state = head.state
        grant = head.grant
    }

    var id: OrderID { state.order }
    var owner: NodeID { terms.ownerKey.nodeID }

    mutating func adopt(_ state: OrderState, _ grant: Grant?) {
        self.state = state
        self.grant = grant
    }
}
