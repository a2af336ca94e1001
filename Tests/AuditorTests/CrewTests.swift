import Auditor
import Network
import Primitives
import Proofs
import Synchronization
import Testing

@Suite struct CrewTests {
    @Test func aCrewIsBoundedAndSettles() {
        let crew = WorkCrew(limit: 2)
        let gate = Atomic<Bool>(false)
        let ran = Atomic<Int>(0)
        let box = Box(gate: gate, ran: ran)
        let body: @Sendable () -> Void = {
            while !box.gate.load(ordering: .acquiring) {}
            box.ran.add(1, ordering: .relaxed)
        }
        #expect(crew.run("a", body))
        #expect(crew.run("b", body))
        #expect(!crew.run("c", body))
        box.gate.store(true, ordering: .releasing)
        crew.settle()
        #expect(box.ran.load(ordering: .relaxed) == 2)
        #expect(crew.run("d", body))
        crew.settle()
    }

    private final class Box: Sendable {
        let gate: Atomic<Bool>
        let ran: Atomic<Int>

        init(gate: consuming Atomic<Bool>, ran: consuming Atomic<Int>) {
            self.gate = gate
            self.ran = ran
        }
    }

    /// The same work on threads of a crew as the other tests do on one.
    @Test func threadsOfACrewAuditAndRepairTogether() throws {
        try Fixture.with(providers: 10) { fixture in
            let crew = WorkCrew(limit: WorkCrew.usualLimit)
            let custodian = Fixture.custodian(
                fixture.book,
                fixture.identity,
                fixture.network,
                fixture.stripes,
                fixture.configuration,
                fixture.clock,
                crew: crew
            )
            try fixture.placeMany(12)
            let ids = fixture.network.ids
            _ = fixture.network.change(ids[0]) { $0.isUp = false }
            _ = fixture.network.change(ids[1]) { $0.isUp = false }
            _ = fixture.network.change(ids[5]) { $0.isLeaving = true }
            for _ in 0..<200 {
                fixture.clock.advance(600)
                custodian.tick()
                crew.settle()
            }
            custodian.stop()
            #expect(fixture.isWhole())
            #expect(fixture.isUnderOrder())
            let holders = Set(fixture.stripes.all.flatMap(\.shards).map(\.provider))
            #expect(holders.isDisjoint(with: [ids[0], ids[1], ids[5]]))
            for order in try fixture.book.orders() {
                _ = try fixture.book.receiptFile(order: order.id).verify(trusting: [])
            }
        }
    }

    @Test func theThreadTicksAndEnds() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1)
            try fixture.custodian.start()
            _ = try fixture.custodian.auditNow()
            fixture.custodian.stop()
            #expect(fixture.isWhole())
        }
    }
}
