package import Network
package import Primitives
import Synchronization
package import Transport

/// Keepers of a trial: messages to them meet what those to healthy providers do.
extension TrialNetwork {
    package func ask<Q: KeeperQuery>(
        _ query: Q,
        ofKeeper keeper: NodeID
    ) -> Pending<Q.Answer> {
        guard let index = keeperIDs.firstIndex(of: keeper) else {
            return Pending(.failure(NetworkError(.unreachable, "unknown keeper")))
        }
        guard state.withLock({ $0.isOwnerUp }) else {
            return Pending(.failure(NetworkError(.unreachable, "the owner's machine is down")))
        }
        let pending = Pending<Q.Answer>()
        let (there, back, fate) = state.withLock { state in
            (
                Self.delay(inMood: .healthy, &state), Self.delay(inMood: .healthy, &state),
                Self.fate(inMood: .healthy, &state)
            )
        }
        let tell: @Sendable (Pending<Q.Answer>.Outcome) -> Void = { [self] outcome in
            courier.send(after: back) { [self] in
                if state.withLock({ $0.isOwnerUp }) { pending.fulfil(outcome) }
            }
        }
        courier.send(after: there) { [self] in
            let isDone: Bool
            switch fate {
            case .normal, .cutAfter: isDone = true
            case .cutBefore: isDone = false
            case .silence(let done): isDone = done
            }
            let outcome: Pending<Q.Answer>.Outcome? =
                isDone ? state.withLock { Self.answer(query, &$0.keepers[index]) } : nil
            switch fate {
            case .normal: if let outcome { tell(outcome) }
            case .cutBefore, .cutAfter:
                tell(.failure(NetworkError(.closed, "cut")))
            case .silence: break
            }
        }
        return pending
    }

    private static func answer<Q: KeeperQuery>(
        _ query: Q,
        _ keeper: inout TrialKeeper
    ) -> Pending<Q.Answer>.Outcome {
        switch keeper.answer(query) {
        case .success(let answer)?:
            guard let answer = answer as? Q.Answer else {
                return .failure(NetworkError(.malformed, "another question's answer"))
            }
            return .success(answer)
        case .failure(let error)?: return .failure(error)
        case nil: return .failure(NetworkError(.refused, "keepers of trials keep heads only"))
        }
    }
}
