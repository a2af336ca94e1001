import Disk
import Network
import Node
import Primitives
import Proofs
import Reliability
import Sealing
import Testing
import Transport

/// An order between the owner of seed 7 and the provider of seed 3, and its auditor's
/// receipts.
struct ReportedOrder {
    let terms: OrderTerms
    private(set) var state: OrderState
    private(set) var receipts: [Receipt] = []

    init(generation: UInt32 = 0) throws {
        terms = OrderTerms(
            volume: try Samples.volumeID(),
            ownerKey: try Samples.key(7).publicKey,
            provider: try Samples.key(3).publicKey.nodeID,
            generation: generation,
            opened: Samples.time
        )
        state = try Self.state(terms, sequence: 0, shards: 0)
    }

    static func state(
        _ terms: OrderTerms,
        sequence: UInt64,
        shards: UInt8
    ) throws -> OrderState {
        let entries = try (0..<shards).map { number in
            OrderEntry(
                shard: try Samples.shard(number),
                bytes: 4096,
                root: try Samples.digest(number)
            )
        }
        let proposal = try OrderProposal(
            order: terms.id,
            sequence: sequence,
            commitment: try OrderTree(entries: entries).commitment,
            at: Samples.time,
            signedBy: try Samples.key(7)
        )
        return try OrderState(accepting: proposal, signedBy: try Samples.key(3))
    }

    /// The provider co-signs a state with so many shards.
    mutating func amend(shards: UInt8, sequence: UInt64? = nil) throws {
        state = try Self.state(terms, sequence: sequence ?? state.sequence + 1, shards: shards)
    }

    mutating func note(
        _ verdict: Verdict,
        at time: Timestamp,
        by auditor: UInt8 = 7
    ) throws -> Receipt {
        let challenge = Challenge(
            order: terms.id,
            provider: terms.provider,
            epoch: BeaconBlock.epoch(at: time, seconds: 3600),
            beacon: try Samples.digest(9),
            sequence: state.sequence,
            commitment: state.commitment,
            leaves: 460
        )
        let proof =
            verdict.isProof
            ? try Proof(
                challenge: challenge,
                body: [1],
                damaged: [],
                signedBy: try Samples.key(3)
            ) : nil
        let receipt = try Receipt(
            of: challenge,
            after: receipts.last,
            lastProved: receipts.last { $0.verdict.isProof },
            epochSeconds: 3600,
            asked: time,
            answered: time,
            verdict: verdict,
            reason: "",
            proof: proof,
            signedBy: try Samples.key(auditor)
        )
        receipts.append(receipt)
        return receipt
    }

    func report(_ receipts: [Receipt] = [], grant: Grant? = nil) -> ReportCustody {
        ReportCustody(terms: terms, state: state, grant: grant, receipts: receipts)
    }
}

extension TestKeeper {
    /// Lets the provider of seed 3 send a heartbeat.
    func beat(damagedShards: UInt64 = 0) throws {
        let provider = try user(3)
        defer { provider.close() }
        let loops = EventLoops()
        defer { loops.stop() }
        let pool = try ConnectionPool(identity: try Samples.key(3), loops: loops)
        defer { pool.stop() }
        let keepers = KeeperClient(keepers: client.file.keepers, pool: pool)
        let heartbeat = Heartbeat(
            address: try Samples.address(),
            domain: "house",
            capacityBytes: 1 << 40,
            usedBytes: 0,
            damagedShards: damagedShards
        )
        try keepers.beat(heartbeat, to: keepers.keepers[0]).wait(for: .seconds(60))
    }

    /// The keeper's score of the provider of seed 3, when the last one is not fresh any more.
    func score() throws -> Score {
        clock.pass(6)
        let list = try ask(ListScores())
        let id = try Samples.key(3).publicKey.nodeID
        let signed = try #require(list.scores.first { $0.provider == id })
        #expect(signed.isSignatureValid)
        #expect(signed.keeperKey == client.file.keepers.first?.publicKey)
        return signed.score
    }

    func code<Q: KeeperQuery>(_ query: Q, by user: UInt8) throws -> NetworkError.Code? {
        let network = try self.user(user)
        defer { network.close() }
        return failure { () throws(NetworkError) in
            try network.ask(query).wait(for: .seconds(60))
        }
    }
}

@Suite struct CustodyReportTests {
    @Test func reportedMissesLowerTheScore() throws {
        try withKeeper { keeper in
            try keeper.beat()
            let before = try keeper.score()
            var order = try ReportedOrder()
            try order.amend(shards: 3)
            let good = try order.note(.ok, at: keeper.clock.now)
            _ = try keeper.ask(order.report([good]))
            let proved = try keeper.score()
            #expect(proved.reasons.contains { $0.hasPrefix("proved 460 leaves in 1 audit") })
            #expect(proved.value >= before.value - 0.01)
            let miss = try order.note(.missing, at: keeper.clock.now)
            _ = try keeper.ask(order.report([good, miss]))
            let after = try keeper.score()
            #expect(after.value < proved.value - 0.2)
            #expect(after.lossProbability > proved.lossProbability + 0.2)
        }
    }

    @Test func receiptCountsOnceAlsoAfterARestart() throws {
        try withKeeper { keeper in
            try keeper.beat()
            var order = try ReportedOrder()
            let miss = try order.note(.missing, at: keeper.clock.now)
            for _ in 0..<3 { _ = try keeper.ask(order.report([miss])) }
            try keeper.restart()
            _ = try keeper.ask(order.report([miss]))
            let score = try keeper.score()
            #expect(score.reasons.contains { $0.contains("answered 1 times that data is missing") })
        }
    }

    @Test func oneOwnersWordBarsNobody() throws {
        try withKeeper { keeper in
            try keeper.beat()
            var order = try ReportedOrder()
            let receipt = try order.note(.forged, at: keeper.clock.now)
            _ = try keeper.ask(order.report([receipt]))
            let score = try keeper.score()
            #expect(!score.isBarred)
            #expect(score.reasons.contains { $0.contains("answered 1 times that data is missing") })
        }
    }

    @Test func twoStatesOfOneSequenceBarTheProvider() throws {
        try withKeeper { keeper in
            try keeper.beat()
            var order = try ReportedOrder()
            try order.amend(shards: 3)
            _ = try keeper.ask(order.report())
            #expect(try keeper.score().isBarred == false)
            try order.amend(shards: 4, sequence: order.state.sequence)
            for _ in 0..<2 { _ = try keeper.ask(order.report()) }
            let score = try keeper.score()
            #expect(score.isBarred)
            #expect(score.reasons.contains { $0.hasPrefix("sent 1 proof") })
            #expect(keeper.log.contains("signed two states of sequence 1"))
        }
    }

    @Test func olderStateIsIgnored() throws {
        try withKeeper { keeper in
            try keeper.beat()
            var order = try ReportedOrder()
            let old = order
            try order.amend(shards: 3)
            _ = try keeper.ask(order.report())
            _ = try keeper.ask(old.report())
            _ = try keeper.ask(order.report())
            #expect(try keeper.score().isBarred == false)
        }
    }

    @Test func silenceLowersTheScoreAndHeartbeatsRaiseIt() throws {
        try withKeeper { keeper in
            try keeper.beat()
            for _ in 0..<30 {
                keeper.clock.pass(600)
                try keeper.beat()
            }
            let up = try keeper.score()
            keeper.clock.pass(1800)
            // The rounds note it every ten seconds.
            #expect(
                eventually { (try? keeper.score().reasons.first?.hasPrefix("offline")) == true }
            )
            keeper.clock.pass(3600)
            #expect(try keeper.score().availability < up.availability)
            try keeper.beat()
            #expect(try keeper.score().reasons.allSatisfy { !$0.hasPrefix("offline") })
        }
    }

    @Test func damageThatAProviderTellsOfIsCountedOnce() throws {
        try withKeeper { keeper in
            try keeper.beat()
            for _ in 0..<3 { try keeper.beat(damagedShards: 7) }
            let score = try keeper.score()
            #expect(score.reasons.contains { $0.hasPrefix("lost 7 shards") })
        }
    }

    @Test func strangerReportsNothing() throws {
        try withKeeper { keeper in
            try keeper.beat()
            let order = try ReportedOrder()
            #expect(try keeper.code(order.report(), by: 8) == .unauthorized)
        }
    }

    @Test func granteeReportsUntilItsGrantExpires() throws {
        try withKeeper { keeper in
            try keeper.beat()
            var order = try ReportedOrder()
            let miss = try order.note(.missing, at: keeper.clock.now, by: 8)
            let grant = try Samples.grant(
                to: try Samples.key(8).publicKey.nodeID,
                expires: Timestamp(seconds: keeper.clock.now.seconds + 60, nanoseconds: 0)
            )
            let report = order.report([miss], grant: grant)
            #expect(try keeper.code(report, by: 9) == .unauthorized)
            #expect(try keeper.code(report, by: 8) == nil)
            keeper.clock.pass(60)
            #expect(try keeper.code(report, by: 8) == .unauthorized)
        }
    }

    @Test func receiptOfAnotherAuditorIsRefused() throws {
        try withKeeper { keeper in
            try keeper.beat()
            var order = try ReportedOrder()
            let miss = try order.note(.missing, at: keeper.clock.now, by: 8)
            #expect(try keeper.code(order.report([miss]), by: 7) == .unauthorized)
        }
    }

    @Test func receiptOfAnotherOrderIsRefused() throws {
        try withKeeper { keeper in
            try keeper.beat()
            var other = try ReportedOrder(generation: 1)
            let miss = try other.note(.missing, at: keeper.clock.now)
            #expect(try keeper.code(ReportedOrder().report([miss]), by: 7) == .malformed)
        }
    }

    @Test func stateThatTheProviderDidNotSignIsRefused() throws {
        try withKeeper { keeper in
            try keeper.beat()
            let order = try ReportedOrder()
            let forged = try OrderState(
                accepting: order.state.proposal,
                signedBy: try Samples.key(4)
            )
            let report = ReportCustody(
                terms: order.terms,
                state: forged,
                grant: nil,
                receipts: []
            )
            #expect(try keeper.code(report, by: 7) == .malformed)
        }
    }

    @Test func providerThatNobodyKnowsHasNoScore() throws {
        try withKeeper { keeper in
            let code = try keeper.code(ReportedOrder().report(), by: 7)
            #expect(code == .notFound)
            #expect(try keeper.ask(ListScores()).scores.isEmpty)
        }
    }
}
