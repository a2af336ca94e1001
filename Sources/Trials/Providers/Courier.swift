import Disk
import Synchronization

/// Carries messages: runs each at its time, on one thread, in an order that only the seed decides.
///
/// Messages for which the time has not come when the owner's machine goes down are told apart by
/// whoever stops the courier (`stop`): what was under way is at the receiver or is lost.
final class Courier: Sendable {
    private struct Message: Sendable {
        let due: Duration
        /// Of two that are due at once the one sent first comes first.
        let number: UInt64
        let deliver: @Sendable () -> Void
    }

    private struct State {
        var messages: [Message] = []
        var sent: UInt64 = 0
        var isStopping = false
    }

    private let state = Condition(State())
    private let thread = Mutex<Thread?>(nil)

    func start() throws(DiskError) {
        state.withLock { $0.isStopping = false }
        let started = try Thread.spawn("courier") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Ends the thread.
    ///
    /// - Returns: what was not delivered yet, in order.
    func stop() -> [@Sendable () -> Void] {
        state.update { $0.isStopping = true }
        let ended = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        ended?.join()
        return state.withLock { state in
            defer { state.messages = [] }
            return state.messages.sorted(by: Self.isBefore).map(\.deliver)
        }
    }

    func send(after delay: Duration, _ deliver: @escaping @Sendable () -> Void) {
        let due = Clock.monotonic() + delay
        state.update { state in
            state.sent += 1
            state.messages.append(Message(due: due, number: state.sent, deliver: deliver))
        }
    }

    private static func isBefore(_ one: Message, _ other: Message) -> Bool {
        (one.due, one.number) < (other.due, other.number)
    }

    private func run() {
        while true {
            var isStopping = false
            let next = state.withLock { state in
                isStopping = state.isStopping
                return state.messages.min(by: Self.isBefore)?.due
            }
            if isStopping { return }
            let now = Clock.monotonic()
            if let next, next <= now {
                let message = state.withLock { state -> Message? in
                    let first = state.messages.indices.min {
                        Self.isBefore(state.messages[$0], state.messages[$1])
                    }
                    return first.map { state.messages.remove(at: $0) }
                }
                message?.deliver()
                continue
            }
            let pause = next.map { $0 - now } ?? .seconds(3600)
            let count = state.withLock { $0.sent }
            _ = state.wait(for: pause) { state -> Void? in
                state.isStopping || state.sent != count ? () : nil
            }
        }
    }
}
