import Disk
import Lease
import Logging
import Network
import Primitives
import Sealing
import SimulatedHost
import Testing
import Transport
import Trials

/// Leases and heads at simulated keepers, in virtual time, while messages are lost and late.
@Suite struct TrialKeeperTests {
    /// What a run came to.
    private struct Outcome: Sendable {
        var rivalFailure: LeaseFailure?
        var terms: [UInt64] = []
        var isHeldLater = false
        var published: VolumeHead?
        var found: VolumeHead?
    }

    private static func head(
        _ version: UInt64,
        of volume: VolumeID,
        term: UInt64,
        after previous: VolumeHead?,
        by key: SigningKey
    ) throws -> VolumeHead {
        try VolumeHead(
            volume: volume,
            version: version,
            time: Clock.now(),
            term: term,
            previous: previous?.digest ?? .noHead,
            body: [1, 2, 3],
            signedBy: key
        )
    }

    /// One mount publishes, another waits for it to end and finds what it has published.
    private static func twoMounts(
        _ volume: VolumeID,
        _ key: SigningKey,
        over network: TrialNetwork
    ) throws -> Outcome {
        let logger = Logger(label: "trial") { _ in SwiftLogNoOpLogHandler() }
        var outcome = Outcome()
        let one = WriterLease(volume: volume, label: "one", network: network, logger: logger)
        let two = WriterLease(volume: volume, label: "two", network: network, logger: logger)
        try one.acquire(waitingFor: .seconds(300))
        outcome.terms.append(one.term)
        do throws(WriterLease.Failure) {
            try two.acquire(isTakeover: true)
        } catch {
            outcome.rivalFailure = error.reason
        }
        Clock.sleep(for: .seconds(200))
        outcome.isHeldLater = one.isHeld
        for version in 1...20 as ClosedRange<UInt64> {
            let head = try head(
                version,
                of: volume,
                term: one.term,
                after: outcome.published,
                by: key
            )
            while !HeadRegister.register(head, at: network).isByMajority {}
            outcome.published = head
        }
        one.release()
        try two.acquire(waitingFor: .seconds(300))
        outcome.terms.append(two.term)
        while true {
            let survey = newest(volume, key, at: network)
            outcome.found = survey.newest
            if survey.isFenced(before: two.term) { break }
        }
        two.release()
        return outcome
    }

    private static func newest(
        _ volume: VolumeID,
        _ key: SigningKey,
        at network: TrialNetwork
    ) -> HeadSurvey {
        HeadRegister.newest(of: volume, owner: key.publicKey.nodeID, at: network, atLeast: 20)
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func headsGoFromMountToMountAndSurviveTheHost(seed: UInt64) throws {
        let world = SimulatedWorld(seed: seed)
        let machine = world.machine("owner")
        let network = TrialNetwork(count: 1, frail: 0, seed: seed) { _, _ in }
        let volume = try #require(VolumeID(bytes: Array(repeating: 5, count: VolumeID.byteCount)))
        let key = try SigningKey(seed: Array(repeating: 7, count: SigningKey.seedBytes))
        let outcome = try world.run(on: machine) {
            try network.start()
            network.letLoose()
            defer { network.stop() }
            return try Self.twoMounts(volume, key, over: network)
        }
        guard case .inUse(let state)? = outcome.rivalFailure else {
            Issue.record("a rival got the lease: \(String(describing: outcome.rivalFailure))")
            return
        }
        #expect(state.label == "one")
        #expect(outcome.isHeldLater)
        #expect(outcome.terms.first ?? 0 < outcome.terms.last ?? 0)
        #expect(outcome.published?.version == 20)
        #expect(outcome.found == outcome.published)
        machine.cutPower()
        machine.boot()
        let survey = try world.run(on: machine) {
            try network.start()
            network.calmDown()
            defer { network.stop() }
            return Self.newest(volume, key, at: network)
        }
        #expect(survey.newest == outcome.published)
        #expect(!survey.isRolledBack)
    }
}
