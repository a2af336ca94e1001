import Glibc
import Primitives
import Sealing
import Synchronization
import Testing
import Transport

@Suite struct ConnectionTests {
    @Test func requestIsAnsweredAndThePeerKnown() throws {
        try withFixture { fixture in
            try fixture.expectAlive()
            let client = try testKey(2).publicKey.nodeID
            #expect(fixture.echo.peers.withLock { $0 } == [client])
        }
    }

    @Test func largestFrameGoesBothWays() throws {
        try withFixture { fixture in
            var random = SeededGenerator(seed: 1)
            let head = random.bytes(52)
            let bulk = [UInt8](repeating: 0x5a, count: Frame.bodyBytesMax - head.count)
            let reply = bulk.withUnsafeBytes { bytes in
                fixture.pool.request(
                    1,
                    to: fixture.serverID,
                    at: fixture.listener.address,
                    head: head,
                    payload: Payload(copying: bytes),
                    timeout: .seconds(60)
                )
            }
            let echoed = try reply.wait(for: .seconds(60))
            #expect(echoed == head + bulk)
        }
    }

    @Test func manyRequestsShareOneConnection() throws {
        try withFixture { fixture in
            let replies = (0..<500).map { number in
                fixture.request(1, [UInt8(number & 255), UInt8(number >> 8)])
            }
            for (number, reply) in replies.enumerated() {
                let body = try reply.wait(for: .seconds(60))
                #expect(body == [UInt8(number & 255), UInt8(number >> 8)])
            }
            #expect(fixture.listener.connectionCount == 1)
        }
    }

    @Test func replyIsThePartThatWasFilled() throws {
        try withFixture { fixture in
            let body = try fixture.request(4).wait(for: .seconds(60))
            #expect(body.count == (1 << 20) - 5)
            #expect(body.starts(with: [5, 6, 7]))
        }
    }

    @Test func refusalCarriesCodeAndOneCleanLine() throws {
        try withFixture { fixture in
            let error = #expect(throws: NetworkError.self) {
                try fixture.request(3).wait(for: .seconds(30))
            }
            #expect(error?.code == .full)
            #expect(error?.message == "\(fixture.listener.address): no room for   this")
        }
    }

    @Test func droppedRequestIsAnsweredWithAnError() throws {
        try withFixture { fixture in
            let error = #expect(throws: NetworkError.self) {
                try fixture.request(5).wait(for: .seconds(30))
            }
            #expect(error?.code == .refused)
        }
    }

    @Test func requestWithoutAnAnswerTimesOut() throws {
        try withFixture { fixture in
            let error = #expect(throws: NetworkError.self) {
                try fixture.request(2, timeout: .milliseconds(20)).wait(for: .seconds(30))
            }
            #expect(error?.code == .timedOut)
            try fixture.expectAlive()
        }
    }

    @Test func nodeWithAnotherKeyIsRefused() throws {
        try withFixture { fixture in
            let other = try testKey(9).publicKey.nodeID
            let error = #expect(throws: NetworkError.self) {
                try fixture.pool.request(
                    1,
                    to: other,
                    at: fixture.listener.address,
                    head: [],
                    timeout: .seconds(30)
                ).wait(for: .seconds(30))
            }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("another node than expected") == true)
            try fixture.expectAlive()
        }
    }

    @Test func closedPortIsUnreachableAtOnce() throws {
        try withFixture { fixture in
            let loops = EventLoops()
            defer { loops.stop() }
            let gone = try Listener.start(
                on: try address("127.0.0.1:0"),
                as: try testKey(3),
                loops: loops,
                handler: Echo(),
                logger: LogLines().logger
            )
            gone.stop()
            let id = try testKey(3).publicKey.nodeID
            for _ in 0..<20 {
                let error = #expect(throws: NetworkError.self) {
                    try fixture.pool.request(
                        1,
                        to: id,
                        at: gone.address,
                        head: [],
                        timeout: .seconds(30)
                    ).wait(for: .seconds(2))
                }
                #expect(error?.code == .unreachable)
                #expect(error?.message.contains("refused") == true)
            }
            #expect(fixture.pool.isReachable(id) == false)
        }
    }

    @Test func requestsUnderWayFailWhenTheNodeGoes() throws {
        try withFixture { fixture in
            let waiting = (0..<10).map { _ in fixture.request(2) }
            #expect(eventually { fixture.echo.held.withLock { $0.count } == 10 })
            fixture.listener.stop()
            for reply in waiting {
                let error = #expect(throws: NetworkError.self) { try reply.wait(for: .seconds(10)) }
                #expect(error?.code == .closed)
            }
        }
    }

    @Test func nodeThatCameBackIsReachedAgain() throws {
        try withFixture { fixture in
            try fixture.expectAlive()
            let where_ = fixture.listener.address
            fixture.listener.stop()
            #expect(throws: NetworkError.self) { try fixture.request(1).wait(for: .seconds(10)) }
            let loops = EventLoops()
            defer { loops.stop() }
            let again = try Listener.start(
                on: where_,
                as: try testKey(1),
                loops: loops,
                handler: Echo(),
                logger: LogLines().logger
            )
            defer { again.stop() }
            let isBack = eventually {
                (try? fixture.request(1, [4]).wait(for: .seconds(10))) == [4]
            }
            #expect(isBack)
        }
    }

    @Test func stoppedPoolRefuses() throws {
        try withFixture { fixture in
            try fixture.expectAlive()
            fixture.pool.stop()
            let error = #expect(throws: NetworkError.self) {
                try fixture.request(1).wait(for: .seconds(10))
            }
            #expect(error?.code == .closed)
        }
    }
}
