import Disk
import Logging
import Network
import Primitives
import Proofs
import SQLite
import Synchronization
import Transport

/// Challenges one order at a time, judges the answer and signs the receipt.
final class OrderAuditor: Sendable {
    private let book: OrderBook
    private let configuration: CustodyConfiguration
    private let logger: Logger
    /// Orders that are being audited: receipts of one chain come one after another.
    private let busy = Condition<Set<OrderID>>([])

    init(book: OrderBook, configuration: CustodyConfiguration, logger: Logger) {
        self.book = book
        self.configuration = configuration
        self.logger = logger
    }

    /// An audit with its receipt and what else the proof told.
    struct Audit {
        let receipt: Receipt
        let missing: [ShardID]
        let corrupt: [ShardID]
        let damaged: [ShardID]
        /// Bytes of the proof's body; 0 without a proof.
        let proofBytes: Int

        var verdict: Verdict { receipt.verdict }
    }

    /// What a provider answered to a challenge, judged.
    private struct Answer {
        var verdict: Verdict
        var reason: String
        var proof: Proof?
        var outcome: ProofOutcome?
    }

    /// Challenges an order.
    ///
    /// Blocks. `isFirstLook`: no answer is not held against the provider yet.
    ///
    /// - Returns: `nil` if the order is gone, or empty.
    func audit(
        _ id: OrderID,
        in block: BeaconBlock,
        leaves: UInt32,
        isFirstLook: Bool
    ) throws(CustodyError) -> Audit? {
        busy.wait { busy in busy.insert(id).inserted ? () : nil }
        defer { busy.update { _ = $0.remove(id) } }
        guard let order = book.order(id), order.isLive, !order.isEmpty else { return nil }
        let asked = book.now()
        var challenge = challenge(order, block, leaves)
        var state = order.state
        var answer = ask(challenge, &state, order)
        if answer == nil {
            // Amendments of our own wait, so that the order stays as it is asked for.
            let provider = order.provider
            let lane = book.lane(of: provider)
            (answer, challenge, state) = lane.gate.withLock { [state] lane in
                var state = state
                guard let newer = follow(order, to: state, in: &lane) else {
                    return (Self.stalled, challenge, order.state)
                }
                state = newer
                let redrawn = self.challenge(newer, order, block, leaves)
                let answer = ask(redrawn, &state, order)
                return (answer ?? Self.stalled, redrawn, newer)
            }
        }
        return try conclude(
            answer ?? Self.stalled,
            order,
            challenge,
            state,
            block,
            asked: asked,
            isFirstLook: isFirstLook
        )
    }

    private static let stalled = Answer(
        verdict: .unreachable,
        reason: "the order changed while it was asked for, and its provider did not show how"
    )

    private func challenge(
        _ order: HeldOrder,
        _ block: BeaconBlock,
        _ leaves: UInt32
    ) -> Challenge {
        challenge(order.state, order, block, leaves)
    }

    private func challenge(
        _ state: OrderState,
        _ order: HeldOrder,
        _ block: BeaconBlock,
        _ leaves: UInt32
    ) -> Challenge {
        Challenge(
            order: order.id,
            provider: order.provider,
            epoch: block.epoch,
            beacon: block.value,
            sequence: state.sequence,
            commitment: state.commitment,
            leaves: min(max(leaves, 1), UInt32(Challenge.leavesMax))
        )
    }

    /// `nil` if the provider has a newer state, which is in `state` then.
    private func ask(
        _ challenge: Challenge,
        _ state: inout OrderState,
        _ order: HeldOrder
    ) -> Answer? {
        let asked = book.now()
        do throws(NetworkError) {
            switch try book.ask(ChallengeProvider(challenge: challenge), of: order.provider) {
            case .proof(let proof): return judge(proof, challenge, asked: asked)
            case .stale(let newer, let grant):
                guard newer.sequence > challenge.sequence else {
                    return judge(stale: newer, challenge)
                }
                do throws(NetworkError) {
                    try book.verify(newer, order.terms, grants: grant.map { [$0] } ?? [])
                } catch {
                    return Answer(verdict: .forged, reason: "\(error)")
                }
                state = newer
                return nil
            case .unknownOrder:
                return Answer(
                    verdict: .missing,
                    reason: "the provider does not know sequence \(challenge.sequence) of the"
                        + " order, which it signed"
                )
            }
        } catch {
            guard error.code == .corrupt else {
                return Answer(verdict: .unreachable, reason: "\(error)")
            }
            return Answer(verdict: .corrupt, reason: "\(error)")
        }
    }

    private func judge(_ proof: Proof, _ challenge: Challenge, asked: Timestamp) -> Answer {
        let outcome = Verifier.verify(proof, of: challenge)
        let seconds = book.now().seconds(since: asked)
        // Only what the provider did sign is evidence.
        let isSigned = proof.challenge == challenge && proof.isSignatureValid
        var answer = Answer(
            verdict: outcome.verdict,
            reason: outcome.reason,
            proof: isSigned ? proof : nil,
            outcome: outcome
        )
        guard outcome.verdict.isProof else { return answer }
        if seconds > configuration.hardDeadline.inSeconds {
            answer.verdict = .unreachable
            answer.reason = "the proof came after \(Int(seconds)) s"
        } else if seconds > configuration.softDeadline.inSeconds {
            answer.verdict = .slow
            answer.reason = "the proof came after \(Int(seconds)) s"
        }
        return answer
    }

    /// The provider says that our state is old, and shows one that is no newer.
    private func judge(stale state: OrderState, _ challenge: Challenge) -> Answer {
        let isSameSequence =
            state.sequence == challenge.sequence && state.commitment != challenge.commitment
        guard isSameSequence, let order = book.order(challenge.order),
            (try? state.verify(terms: order.terms, grants: [])) != nil
        else {
            return Answer(verdict: .unreachable, reason: "the provider shows an old state")
        }
        return Answer(
            verdict: .forged,
            reason: "the provider signed two states of sequence \(state.sequence)"
        )
    }

    /// The book's state once it is as new as `newer`.
    private func follow(
        _ order: HeldOrder,
        to newer: OrderState,
        in lane: inout OrderBook.Lane
    ) -> OrderState? {
        guard let held = book.order(order.id) else { return nil }
        if held.state.sequence >= newer.sequence { return held.state }
        do throws(NetworkError) {
            return try book.resync(held, in: &lane).state
        } catch {
            logger.warning("order \(order.id.short) cannot be followed: \(error)")
            return nil
        }
    }

    private func conclude(
        _ answer: Answer,
        _ order: HeldOrder,
        _ challenge: Challenge,
        _ state: OrderState,
        _ block: BeaconBlock,
        asked: Timestamp,
        isFirstLook: Bool
    ) throws(CustodyError) -> Audit {
        let receipt = try book.record(
            OrderBook.Finding(
                challenge: challenge,
                state: state,
                block: block,
                asked: asked,
                answered: book.now(),
                verdict: answer.verdict,
                reason: answer.reason,
                provedLeaves: answer.outcome?.provedLeaves ?? 0,
                proof: answer.proof,
                counts: answer.verdict != .unreachable || !isFirstLook
            )
        )
        let text =
            "provider \(order.provider.short), order \(order.id.short), epoch"
            + " \(block.epoch.rawValue), \(challenge.leaves) leaves: \(answer.verdict.name)"
        // Told once, and again when it changes.
        if answer.verdict.isProof || answer.verdict == order.last?.verdict {
            logger.debug("\(text): \(answer.reason)")
        } else {
            logger.warning("\(text): \(answer.reason)")
        }
        return Audit(
            receipt: receipt,
            missing: answer.outcome?.missing ?? [],
            corrupt: answer.outcome?.corrupt ?? [],
            damaged: answer.outcome?.damaged ?? [],
            proofBytes: answer.proof?.body.count ?? 0
        )
    }
}
