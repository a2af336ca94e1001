import Control
import Disk
import Metadata
import Primitives
import Volume

/// The placing of everything dirty, on a thread of its own, which others can watch and stop
/// watching.
///
/// The engine's own call cannot be cut short; whoever watches can. A job nobody watches any more
/// ends by itself.
final class PlacingJob: Sendable {
    private struct State {
        /// Bytes that are only on this machine.
        var remaining: UInt64
        var result: Result<Void, ControlFailure>?
        /// When watching ends, on the monotonic clock; `nil` for never.
        var deadline: Duration?
    }

    /// How a watch ended.
    enum Outcome: Sendable {
        case placed
        case failed(ControlFailure)
        /// The deadline passed first.
        case timedOut
    }

    /// Between two reports of progress, at most.
    private static let pace = Duration.milliseconds(250)

    private let engine: VolumeEngine
    private let state: Condition<State>

    /// Begins; `watch` will wait for `seconds` from now, or for as long as it takes.
    ///
    /// - Throws: what keeps the thread from being started.
    init(_ engine: VolumeEngine, seconds: Double? = nil) throws(ControlFailure) {
        self.engine = engine
        let deadline = seconds.map { Clock.monotonic() + .seconds($0) }
        state = Condition(
            State(remaining: engine.status().totals.dirtyBytes, result: nil, deadline: deadline)
        )
        do throws(DiskError) {
            try Thread.spawn("placing") { [self] in run() }
        } catch {
            throw ControlFailure(error)
        }
    }

    private func run() {
        let result: Result<Void, ControlFailure>
        do throws(FileSystemError) {
            try engine.syncToNetwork { remaining in
                state.update { $0.remaining = remaining }
            }
            result = .success(())
        } catch {
            result = .failure(ControlFailure(error))
        }
        state.update { state in
            if case .success = result { state.remaining = 0 }
            state.result = result
        }
    }

    /// Has `watch` return after `seconds` from now, if it would later.
    func hurry(seconds: Double) {
        state.update { state in
            let deadline = Clock.monotonic() + .seconds(seconds)
            state.deadline = min(state.deadline ?? deadline, deadline)
        }
    }

    /// Waits for the end or the deadline, telling how far it has come.
    func watch(progress: (SyncProgress) -> Void = { _ in }) -> Outcome {
        var total = state.withLock { $0.remaining }
        while true {
            let (remaining, result, deadline) = state.withLock {
                ($0.remaining, $0.result, $0.deadline)
            }
            total = max(total, remaining)
            progress(SyncProgress(remainingBytes: remaining, totalBytes: total))
            switch result {
            case .success: return .placed
            case .failure(let failure): return .failed(failure)
            case nil: break
            }
            let now = Clock.monotonic()
            if let deadline, now >= deadline { return .timedOut }
            let pause = min(Self.pace, (deadline ?? .seconds(Int64.max / 2)) - now)
            _ = state.wait(for: pause) { state -> Bool? in
                state.result != nil || state.deadline != deadline ? true : nil
            }
        }
    }
}
