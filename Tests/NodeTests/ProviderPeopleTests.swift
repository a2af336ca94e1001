import Disk
import Network
import Node
import Primitives
import Proofs
import Sealing
import Testing
import Transport
import Wire

/// Who may ask a provider for what: grants, receipts, and leaving.
@Suite struct ProviderPeopleTests {
    @Test func repairerWorksForTheOwner() throws {
        try withProvider { provider, owner, order in
            let repairer = try provider.client(60, owner: 50)
            defer { repairer.close() }
            let shard = try TestShard(1, count: 64 << 10)
            let refused = #expect(throws: NetworkError.self) { try repairer.put(shard) }
            #expect(refused?.code == .unauthorized)
            let grant = try Samples.grant(.all, to: 60)
            _ = try repairer.ask(PresentGrant(grant: grant))
            try repairer.put(shard)
            var repaired = try ClientOrder(repairer, at: provider, grant: grant)
            try repaired.amend(adding: [shard])
            try repaired.state.verify(terms: repaired.terms, grants: [grant])
            #expect(try repairer.get(shard) == shard.bytes)
            #expect(try repaired.audit().verdict == .ok)
            // It is the owner's shard and order.
            #expect(try owner.get(shard) == shard.bytes)
            let stale = try owner.ask(ChallengeProvider(challenge: try order.challenge()))
            #expect(stale == .stale(repaired.state, grant))
            try order.follow()
            #expect(order.state == repaired.state)
            try order.amend(removing: [shard])
            try repairer.delete([shard])
            try provider.restart()
            try repairer.put(shard)
        }
    }

    @Test func repairerOpensAnOrderWithItsGrant() throws {
        try withProvider { provider, _, _ in
            let repairer = try provider.client(60, owner: 51)
            defer { repairer.close() }
            let grant = try Samples.grant(.all, to: 60, volume: 8, owner: 51)
            // Not before there is an order.
            #expect(repairer.refusal(PresentGrant(grant: grant))?.code == .notFound)
            var order = try ClientOrder(repairer, at: provider, volume: 8, owner: 51, grant: grant)
            let shard = try TestShard(1)
            try repairer.put(shard)
            try order.amend(adding: [shard])
            #expect(try order.audit().verdict == .ok)
        }
    }

    @Test func auditorOnlyAudits() throws {
        try withProvider { provider, owner, order in
            let shard = try TestShard(1)
            try owner.put(shard)
            try order.amend(adding: [shard])
            let auditor = try provider.client(60, owner: 50)
            defer { auditor.close() }
            _ = try auditor.ask(PresentGrant(grant: try Samples.grant(.audit, to: 60)))
            let challenge = try order.challenge()
            guard
                case .proof(let proof) = try auditor.ask(ChallengeProvider(challenge: challenge))
            else {
                Issue.record("no proof")
                return
            }
            #expect(Verifier.verify(proof, of: challenge).verdict == .ok)
            let delta = try auditor.ask(FetchOrder(order: order.id, sinceSequence: 0))
            #expect(delta.changes.count == 1)
            let read = #expect(throws: NetworkError.self) { try auditor.get(shard) }
            #expect(read?.code == .unauthorized)
            let put = #expect(throws: NetworkError.self) { try auditor.put(try TestShard(2)) }
            #expect(put?.code == .unauthorized)
            let deletion = #expect(throws: NetworkError.self) { try auditor.delete([shard]) }
            #expect(deletion?.code == .unauthorized)
            let amendment = AmendOrder(
                order: order.id,
                baseSequence: order.state.sequence,
                changes: [OrderChange(position: 0, entry: .tombstone(shard.id))],
                proposal: try OrderProposal(
                    order: order.id,
                    sequence: order.state.sequence + 1,
                    commitment: .empty,
                    at: Samples.time,
                    signedBy: auditor.key
                )
            )
            #expect(auditor.refusal(amendment)?.code == .unauthorized)
        }
    }

    @Test func grantThatDoesNotHoldIsRefused() throws {
        try withProvider { provider, _, order in
            let keeper = try provider.client(60, owner: 50)
            defer { keeper.close() }
            let expired = try Samples.grant(.all, to: 60, lasting: -1)
            #expect(keeper.refusal(PresentGrant(grant: expired))?.code == .unauthorized)
            let anothers = try Samples.grant(.all, to: 61)
            #expect(keeper.refusal(PresentGrant(grant: anothers))?.code == .unauthorized)
            let otherVolume = try Samples.grant(.all, to: 60, volume: 6)
            #expect(keeper.refusal(PresentGrant(grant: otherVolume))?.code == .notFound)
            let good = try Samples.grant(.all, to: 60)
            for index in good.encoded.indices {
                var bytes = good.encoded
                bytes[index] ^= 1
                guard let changed = try? Grant(decoding: bytes) else { continue }
                #expect(keeper.refusal(PresentGrant(grant: changed)) != nil, "byte \(index)")
            }
            // A newer grant with less takes the place of the older.
            _ = try keeper.ask(PresentGrant(grant: good))
            try keeper.put(try TestShard(1))
            _ = try keeper.ask(PresentGrant(grant: try Samples.grant(.audit, to: 60, issued: 5)))
            #expect(throws: NetworkError.self) { try keeper.put(try TestShard(2)) }
            _ = try keeper.ask(PresentGrant(grant: good))
            #expect(throws: NetworkError.self) { try keeper.put(try TestShard(2)) }
        }
    }

    // MARK: Receipts

    private func receipt(
        _ order: ClientOrder,
        after previous: Receipt?,
        _ verdict: Verdict,
        _ reason: String,
        by key: SigningKey
    ) throws -> Receipt {
        let challenge = try order.challenge(32, epoch: 7 + (previous?.number ?? 0))
        var proof: Proof?
        if verdict.isProof,
            case .proof(let answer) = try order.client.ask(ChallengeProvider(challenge: challenge))
        {
            proof = answer
        }
        return try Receipt(
            of: challenge,
            after: previous,
            lastProved: nil,
            epochSeconds: 3600,
            asked: Samples.time,
            answered: Samples.time,
            verdict: verdict,
            reason: reason,
            proof: proof,
            signedBy: key
        )
    }

    @Test func receiptsAreKeptAndShownToWhomTheyConcern() throws {
        try withProvider { provider, owner, order in
            let first = try receipt(order, after: nil, .ok, "", by: owner.key)
            let second = try receipt(order, after: first, .missing, "it is gone", by: owner.key)
            _ = try owner.ask(DeliverReceipt(receipt: first))
            _ = try owner.ask(DeliverReceipt(receipt: second))
            _ = try owner.ask(DeliverReceipt(receipt: second))
            #expect(provider.log.contains("notice: \(owner.id.short) audited order"))
            #expect(provider.log.contains("missing: it is gone"))
            try provider.restart()
            let own = try provider.ownClient()
            defer { own.close() }
            #expect(try own.ask(ListReceipts()).receipts == [second, first])
            #expect(try own.ask(ListReceipts(limit: 1)).receipts == [second])
            #expect(try owner.ask(ListReceipts(order: order.id)).receipts == [second, first])
            #expect(owner.refusal(ListReceipts())?.code == .unauthorized)
            let stranger = try provider.client(51)
            defer { stranger.close() }
            #expect(stranger.refusal(ListReceipts(order: order.id))?.code == .unauthorized)
        }
    }

    @Test func receiptOfSomeoneElseIsRefused() throws {
        try withProvider { provider, owner, order in
            let stranger = try provider.client(51)
            defer { stranger.close() }
            let owners = try receipt(order, after: nil, .missing, "", by: owner.key)
            #expect(stranger.refusal(DeliverReceipt(receipt: owners))?.code == .unauthorized)
            let own = try receipt(order, after: nil, .missing, "", by: stranger.key)
            #expect(stranger.refusal(DeliverReceipt(receipt: own))?.code == .unauthorized)
            for index in owners.encoded.indices {
                var bytes = owners.encoded
                bytes[index] ^= 1
                guard let changed = try? Receipt(decoding: bytes) else { continue }
                #expect(owner.refusal(DeliverReceipt(receipt: changed)) != nil, "byte \(index)")
            }
        }
    }

    @Test func onlyTheNewestReceiptsOfAnOrderAreKept() throws {
        try withProvider { provider, owner, order in
            var last: Receipt?
            for _ in 0..<270 {
                let next = try receipt(order, after: last, .unreachable, "away", by: owner.key)
                _ = try owner.ask(DeliverReceipt(receipt: next))
                last = next
            }
            let kept = try owner.ask(ListReceipts(order: order.id)).receipts
            #expect(kept.count == 256)
            #expect(kept.first == last)
        }
    }

    // MARK: Leaving

    @Test func leavingProviderTakesNothingNewAndServesTheRest() throws {
        try withProvider { provider, owner, order in
            let shards = [try TestShard(1), try TestShard(2)]
            try owner.put(shards)
            try order.amend(adding: [shards[0]])
            #expect(owner.refusal(SetLeaving(isLeaving: true))?.code == .unauthorized)
            let own = try provider.ownClient()
            defer { own.close() }
            #expect(try own.ask(SetLeaving(isLeaving: true)).isLeaving)
            try provider.restart()
            #expect(try owner.status().isLeaving)
            let refusal = #expect(throws: NetworkError.self) { try owner.put(try TestShard(3)) }
            #expect(refusal?.code == .full)
            #expect(refusal?.message.contains("is leaving") == true)
            let terms = OrderTerms(
                volume: try Samples.volumeID(9),
                ownerKey: owner.key.publicKey,
                provider: provider.id,
                generation: 0,
                opened: Samples.time
            )
            let opening = OpenOrder(
                terms: terms,
                proposal: try ClientOrder.opening(terms, owner.key)
            )
            #expect(owner.refusal(opening)?.code == .full)
            try order.amend(adding: [shards[1]])
            #expect(try owner.get(shards[0]) == shards[0].bytes)
            #expect(try order.audit().verdict == .ok)
            try order.amend(removing: [shards[0]])
            try owner.delete([shards[0]])
            #expect(try own.ask(SetLeaving(isLeaving: false)).isLeaving == false)
            try owner.put(try TestShard(3))
            try provider.restart()
            #expect(try !owner.status().isLeaving)
        }
    }

    @Test func addressIsWrittenForProgramsOfTheHost() throws {
        try withProvider { provider, _, _ in
            let text = String(
                decoding: try WholeFile.read(provider.path + "/address"),
                as: UTF8.self
            )
            #expect(text == "\(provider.address)\n")
        }
    }

    // MARK: The orders' database

    @Test func damagedOrdersAreAnErrorInOneLine() throws {
        try withProvider { provider, owner, order in
            let path = provider.path + "/orders.db"
            var error: NodeError?
            do {
                try provider.restart {
                    for suffix in ["-wal", "-shm"] { try WholeFile.remove(path + suffix) }
                    try WholeFile.replace(path, with: [UInt8](repeating: 0x41, count: 8192))
                }
            } catch let failure as NodeError {
                error = failure
            }
            #expect(error?.code == .corrupt)
            #expect(error?.description.contains("orders.db") == true)
            #expect(error?.description.contains("\n") == false)
        }
    }
}
