import Disk
import Synchronization

/// A result that another thread will bring: waited for by a thread of our own, or taken by
/// callbacks.
package final class Pending<Value: Sendable>: Sendable {
    /// What is brought.
    package typealias Outcome = Result<Value, NetworkError>

    private struct State {
        var outcome: Outcome?
        var callbacks: [@Sendable (Outcome) -> Void] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// A result that is there already.
    package convenience init(_ outcome: Outcome) {
        self.init()
        fulfil(outcome)
    }

    /// The outcome if it has come.
    package var outcome: Outcome? { state.withLock { $0.outcome } }

    /// Brings the outcome; the first one counts, later ones are dropped.
    ///
    /// Runs the callbacks on the calling thread.
    package func fulfil(_ outcome: Outcome) {
        let callbacks = state.withLock { state -> [@Sendable (Outcome) -> Void] in
            guard state.outcome == nil else { return [] }
            state.outcome = outcome
            defer { state.callbacks = [] }
            return state.callbacks
        }
        for callback in callbacks { callback(outcome) }
    }

    /// Runs `callback` with the outcome, once: now if it is there, else on the thread that brings
    /// it, which may be an event loop, so `callback` must not block.
    package func whenDone(_ callback: @escaping @Sendable (Outcome) -> Void) {
        let outcome = state.withLock { state -> Outcome? in
            if state.outcome == nil { state.callbacks.append(callback) }
            return state.outcome
        }
        if let outcome { callback(outcome) }
    }

    /// Blocks the calling thread (one of our own, never an event loop) until the outcome is there.
    ///
    /// - Throws: the error of the outcome, or `timedOut` after `limit`; the request itself goes on.
    package func wait(for limit: Duration) throws(NetworkError) -> Value {
        if let outcome { return try outcome.get() }
        let gate = Condition(false)
        whenDone { _ in gate.update { $0 = true } }
        _ = gate.wait(for: limit) { isOpen in isOpen ? true : nil }
        guard let outcome else {
            throw NetworkError(.timedOut, "no answer within \(limit)")
        }
        return try outcome.get()
    }

    /// The same result passed through `transform`, which runs on the thread that brings it.
    package func map<Other: Sendable>(
        _ transform: @escaping @Sendable (Value) throws(NetworkError) -> Other
    ) -> Pending<Other> {
        let mapped = Pending<Other>()
        whenDone { outcome in
            do throws(NetworkError) {
                mapped.fulfil(.success(try transform(try outcome.get())))
            } catch {
                mapped.fulfil(.failure(error))
            }
        }
        return mapped
    }

    /// Fulfils `other` with the same outcome.
    package func forward(to other: Pending<Value>) {
        whenDone { other.fulfil($0) }
    }
}

extension Pending where Value == Void {
    /// Done when all are done; fails with the first failure met, after all have ended.
    package static func all(_ parts: [Pending<Void>]) -> Pending<Void> {
        let whole = Pending<Void>()
        guard !parts.isEmpty else {
            whole.fulfil(.success(()))
            return whole
        }
        let left = Countdown(parts.count)
        for part in parts {
            part.whenDone { outcome in
                if let result = left.arrive(outcome) { whole.fulfil(result) }
            }
        }
        return whole
    }

    private final class Countdown: Sendable {
        private let state: Mutex<(left: Int, failure: NetworkError?)>

        init(_ count: Int) { state = Mutex((count, nil)) }

        /// The outcome of all after the last has arrived, else `nil`.
        func arrive(_ outcome: Result<Void, NetworkError>) -> Result<Void, NetworkError>? {
            state.withLock { state in
                state.left -= 1
                if case .failure(let error) = outcome, state.failure == nil {
                    state.failure = error
                }
                guard state.left == 0 else { return nil }
                return state.failure.map { .failure($0) } ?? .success(())
            }
        }
    }
}
