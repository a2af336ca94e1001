import Primitives
import Synchronization

/// Stripes that were placed, moved or dropped and that a keeper has not been told of.
///
/// Ids only: what became of a stripe is looked up when it is told, so that the last word wins
/// whatever the order of the notes.
final class StripeChanges: Sendable {
    /// Ids kept, 16 bytes each; with more, everything is compared, which costs a scan.
    private static let idsMax = 1 << 16

    private struct State {
        var ids: Set<StripeID> = []
        var isOverflown = false
    }

    private let state = Mutex(State())

    func note(_ stripes: some Sequence<StripeID>) {
        state.withLock { state in
            for stripe in stripes { state.ids.insert(stripe) }
            guard state.ids.count > Self.idsMax else { return }
            state.ids = []
            state.isOverflown = true
        }
    }

    /// Takes all ids, and whether some were dropped since the last call.
    func take() -> (stripes: Set<StripeID>, isOverflown: Bool) {
        state.withLock { state in
            defer { state = State() }
            return (state.ids, state.isOverflown)
        }
    }
}
