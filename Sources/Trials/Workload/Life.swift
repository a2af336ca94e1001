import Disk
import Synchronization

/// One life of the owner's machine: how many operations are left, and whether it goes on.
final class Life: Sendable {
    private struct State {
        var steps: Int
        var done = 0
        var failure: TrialFailure?
        var isCalm = false
        var isEnded = false
    }

    private let state: Mutex<State>
    private let down: @Sendable () -> Bool

    init(steps: Int, isDown: @escaping @Sendable () -> Bool) {
        state = Mutex(State(steps: steps))
        down = isDown
    }

    var isDown: Bool { down() }
    var failure: TrialFailure? { state.withLock { $0.failure } }
    var done: Int { state.withLock { $0.done } }

    /// Whether the network does nothing wrong just now.
    var isCalm: Bool {
        get { state.withLock { $0.isCalm } }
        set { state.withLock { $0.isCalm = newValue } }
    }

    /// Whether clients have ended or the machine is down.
    var isOver: Bool { isDown || state.withLock { $0.isEnded } }

    func end() { state.withLock { $0.isEnded = true } }

    /// Takes one of the operations that are left.
    func takeStep() -> Bool {
        guard !isDown else { return false }
        return state.withLock { state in
            guard state.steps > 0, state.failure == nil else { return false }
            state.steps -= 1
            return true
        }
    }

    /// An operation has ended; virtual time goes by.
    func pass() {
        if !isDown { state.withLock { $0.done += 1 } }
        Clock.sleep(for: .microseconds(200))
    }

    func fail(_ failure: TrialFailure) {
        guard !isDown else { return }
        state.withLock { state in
            if state.failure == nil { state.failure = failure }
        }
    }
}
