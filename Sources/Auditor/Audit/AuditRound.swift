import Primitives
import Proofs
import Synchronization

/// Orders to audit, shared by some threads, and what came of them.
final class AuditRound: Sendable {
    private struct State {
        var orders: ArraySlice<OrderID>
        var results: [AuditResult] = []
        var failure: CustodyError?
    }

    private let state: Mutex<State>

    init(_ orders: [OrderID]) { state = Mutex(State(orders: orders[...])) }

    func next() -> OrderID? { state.withLock { $0.orders.popFirst() } }

    func note(_ audit: () throws(CustodyError) -> OrderAuditor.Audit?) {
        do throws(CustodyError) {
            guard let audit = try audit() else { return }
            state.withLock {
                $0.results.append(
                    AuditResult(receipt: audit.receipt, proofBytes: audit.proofBytes)
                )
            }
        } catch {
            state.withLock { $0.failure = error }
        }
    }

    /// By provider.
    ///
    /// - Throws: a failure, if there is nothing else.
    func results() throws(CustodyError) -> [AuditResult] {
        let (results, failure) = state.withLock { ($0.results, $0.failure) }
        if let failure, results.isEmpty { throw failure }
        return results.sorted { $0.provider < $1.provider }
    }
}
