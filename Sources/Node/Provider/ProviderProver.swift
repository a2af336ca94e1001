import Disk
import Network
import Primitives
import Proofs
import Sealing
import Synchronization
import Transport

/// Answers challenges from the store.
final class ProviderProver: Sendable {
    /// Proofs made at once: half of the workers, so that reads and puts go on.
    private static let proofsMax = 2
    /// Challenges that wait for their turn.
    ///
    /// One of 460 leaves takes 30 ms of a processor and seconds of a slow disk, and
    /// auditors wait half a minute.
    private static let waitingMax = 64

    private let orders: ProviderOrders
    private let store: ShardStore
    private let workers: WorkerPool
    private let queue = Mutex((running: 0, waiting: [Waiting]()))

    private struct Waiting {
        let since: Duration
        let work: @Sendable () -> Void
    }

    init(orders: ProviderOrders, store: ShardStore, workers: WorkerPool) {
        self.orders = orders
        self.store = store
        self.workers = workers
    }

    /// Runs `work`, which answers a challenge, on a worker when it is its turn.
    ///
    /// - Returns: `false` if too many wait.
    func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        let isNext = queue.withLock { queue -> Bool? in
            if queue.running < Self.proofsMax {
                queue.running += 1
                return true
            }
            guard queue.waiting.count < Self.waitingMax else { return nil }
            queue.waiting.append(Waiting(since: Clock.monotonic(), work: work))
            return false
        }
        guard isNext == true else { return isNext != nil }
        guard workers.submit({ self.run(work) }) else {
            queue.withLock { $0.running -= 1 }
            return false
        }
        return true
    }

    /// Goes on with what waits, on the same worker.
    private func run(_ work: @Sendable () -> Void) {
        work()
        while true {
            let next = queue.withLock { queue -> Waiting? in
                guard !queue.waiting.isEmpty else {
                    queue.running -= 1
                    return nil
                }
                return queue.waiting.removeFirst()
            }
            guard let next else { return }
            // Whoever asked has given up; the reply answers by itself when it is dropped.
            guard Clock.monotonic() - next.since < ChallengeProvider.timeout else { continue }
            next.work()
        }
    }

    /// The answer to `challenge`, if `peer` may ask.
    ///
    /// Blocks for the disk.
    func answer(
        _ challenge: Challenge,
        from peer: NodeID
    ) throws(NetworkError) -> ChallengeAnswer {
        switch try orders.standing(challenge, from: peer) {
        case .unknown: return .unknownOrder
        case .stale(let state, let grant): return .stale(state, grant)
        case .current(let tree):
            let (proof, isWhole, absent) = try prove(challenge, over: tree)
            // A shard may have been taken out of the order and deleted while it was read: that is
            // no damage.
            guard !isWhole else { return .proof(proof) }
            switch try orders.standing(challenge, from: peer) {
            case .unknown: return .unknownOrder
            case .stale(let state, let grant): return .stale(state, grant)
            case .current:
                for shard in absent { _ = try store.noteMissing(shard) }
                return .proof(proof)
            }
        }
    }

    /// - Returns: The proof, whether it shows every leaf, and the shards that are not here.
    private func prove(
        _ challenge: Challenge,
        over tree: OrderTree
    ) throws(NetworkError) -> (Proof, isWhole: Bool, absent: [ShardID]) {
        var failure: NetworkError?
        var isWhole = true
        var absent: [ShardID] = []
        let damaged = orders.held(
            store.damaged,
            by: tree,
            limit: Proof.damagedMax
        ).sorted()
        let proof: Proof
        do {
            proof = try Prover.prove(
                challenge,
                over: tree,
                damaged: damaged,
                signedBy: orders.provider
            ) { entry, leaves in
                do throws(NetworkError) {
                    let answers = try store.leaves(leaves, of: entry)
                    if answers.contains(.missing) { absent.append(entry.shard) }
                    if answers.contains(.missing) || answers.contains(.corrupt) { isWhole = false }
                    return answers
                } catch {
                    failure = error
                    return leaves.map { _ in .missing }
                }
            }
        } catch {
            throw NetworkError(.malformed, "order \(challenge.order.short): \(error)")
        }
        // Not an answer about the shards: the disk may answer later.
        if let failure { throw failure }
        return (proof, isWhole, absent)
    }
}
