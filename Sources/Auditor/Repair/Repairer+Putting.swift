import Logging
import Network
import Primitives
import Proofs
import Reliability
import SQLite
import Transport

extension Repairer {
    /// Time for a put, a little more than the transport's own.
    private static let putPatience = RemoteNetwork.putTimeout + OrderBook.patience
    /// A put whose move is not recorded by then was forgotten.
    private static let intentSeconds = 900.0

    /// Puts a shard to a provider and records that it is there.
    func deliver(
        _ holding: ShardHolding,
        of stripe: StripeManifest,
        _ bytes: UnsafeRawBufferPointer,
        to target: NodeID,
        _ context: Context,
        _ outcome: inout Outcome
    ) {
        guard context.isNeeded(holding) else {
            outcome.failures.append("shard \(holding.shard.short) is there again")
            return
        }
        let copy = Copy(shard: holding.shard, provider: target)
        let isInPlace = target == holding.provider
        do {
            if !isInPlace { try noteIntents(holding, of: stripe, target) }
            try book.ensureOrder(with: target)
            try network.put(holding.shard, to: target, bytes: bytes, root: holding.root)
                .wait(for: Self.putPatience)
            spent(bytes.count)
            outcome.bytes += bytes.count
            let entry = OrderEntry(
                shard: holding.shard,
                bytes: UInt64(bytes.count),
                root: holding.root
            )
            book.add([entry], to: target)
            if !isInPlace { try move(holding, of: stripe, to: target) }
            settle(holding, copy, of: stripe, context)
            retain(holding, of: stripe, at: target, context)
            outcome.done.append((Int(holding.index), target))
        } catch {
            let time = book.now()
            if error is NetworkError {
                book.note(target) { $0.noteRead(ok: false, at: time) }
            }
            outcome.failures.append(
                "shard \(holding.shard.short) is not at provider \(target.short): \(error)"
            )
        }
    }

    /// Written down before the put, so that neither the new copy nor the old one is ever
    /// forgotten: the one that the stripe does not name in the end is to go.
    private func noteIntents(
        _ holding: ShardHolding,
        of stripe: StripeManifest,
        _ target: NodeID
    ) throws(CustodyError) {
        let due = book.now().adding(seconds: Self.intentSeconds)
        try book.put(
            [target, holding.provider].map { provider in
                StrayCopy(
                    copy: Copy(shard: holding.shard, provider: provider),
                    stripe: stripe.id,
                    index: Int(holding.index),
                    state: .intent,
                    due: due
                )
            }
        )
    }

    private func move(
        _ holding: ShardHolding,
        of stripe: StripeManifest,
        to target: NodeID
    ) throws {
        let isMoved = try source.moveShard(
            stripe.id,
            index: Int(holding.index),
            from: holding.provider,
            to: target
        )
        guard isMoved else {
            throw CustodyError(.cancelled, "stripe \(stripe.id.short) changed meanwhile")
        }
    }

    /// What becomes of the copies, now that the stripe names the new one.
    private func settle(
        _ holding: ShardHolding,
        _ copy: Copy,
        of stripe: StripeManifest,
        _ context: Context
    ) {
        let time = book.now()
        let old = Copy(shard: holding.shard, provider: holding.provider)
        guard copy != old else {
            book.forgetLosses([copy])
            book.note(holding.provider) { $0.noteRefetched(shards: 1, at: time) }
            return
        }
        // A holder that is only away may come back with its copy.
        let isSpare =
            book.loss(old.shard, at: old.provider) == nil
            && context.view.providers[old.provider].map { provider in
                provider.suspectSince != nil && !provider.record.isLeaving
                    && !provider.score.isBarred
            } ?? true
        book.attempt("copies") { (store) throws(SQLiteError) in
            try store.removeStrays([copy])
            try store.put([
                StrayCopy(
                    copy: old,
                    stripe: stripe.id,
                    index: Int(holding.index),
                    state: isSpare ? .away : .garbage,
                    due: time
                )
            ])
        }
        book.forgetLosses([copy])
    }
}
