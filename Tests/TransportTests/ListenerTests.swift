import Primitives
import Sealing
import Synchronization
import Testing
import Transport
import Wire

@Suite struct ListenerTests {
    @Test func portInUseIsNamed() throws {
        try withFixture { fixture in
            let error = #expect(throws: NetworkError.self) {
                try Listener.start(
                    on: fixture.listener.address,
                    as: try testKey(3),
                    loops: fixture.loops,
                    handler: Echo(),
                    logger: LogLines().logger
                )
            }
            let message = error?.message ?? ""
            #expect(message.contains("\(fixture.listener.address)"))
            #expect(message.contains("in use"))
        }
    }

    @Test(
        arguments: [
            [0xff, 0xff, 0xff, 0xff], [0, 0, 0, 0], [8, 0, 0, 0],
            [20, 0, 0, 0, 0x81, 1, 2, 3, 4, 5, 6, 7, 8],
        ] as [[UInt8]]
    )
    func malformedFrameClosesTheConnectionAndIsLogged(bytes: [UInt8]) throws {
        try withFixture { fixture in
            let hostile = try fixture.pool.dialUnpinned(fixture.listener.address)
                .wait(for: .seconds(30))
            hostile.sendUnframed(bytes)
            #expect(eventually { !hostile.isOpen })
            #expect(eventually { fixture.log.all.contains { $0.contains("malformed frame") } })
            try fixture.expectAlive()
        }
    }

    @Test(arguments: 0..<24 as Range<UInt64>)
    func randomFramesNeverEndTheServer(seed: UInt64) throws {
        try withFixture { fixture in
            var random = SeededGenerator(seed: seed)
            let hostile = try fixture.pool.dialUnpinned(fixture.listener.address)
                .wait(for: .seconds(30))
            for _ in 0..<20 {
                var bytes = random.bytes(Int.random(in: 1...300, using: &random))
                if bytes.count >= 13, Bool.random(using: &random) {
                    let length = UInt32.random(in: 9...400, using: &random)
                    withUnsafeBytes(of: length.littleEndian) {
                        bytes.replaceSubrange(0..<4, with: $0)
                    }
                    bytes[4] = UInt8.random(in: 1...5, using: &random)
                }
                hostile.sendUnframed(bytes)
            }
            hostile.close()
            try fixture.expectAlive()
        }
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func bytesThatAreNoTLSAreRefused(seed: UInt64) throws {
        try withFixture { fixture in
            var random = SeededGenerator(seed: seed)
            let socket = try PlainSocket(to: fixture.listener.address)
            // A TLS record header first, half of the time.
            let start: [UInt8] = seed.isMultiple(of: 2) ? [0x16, 3, 1, 0, 200] : []
            socket.send(start + random.bytes(600))
            #expect(socket.readToEnd())
            try fixture.expectAlive()
        }
    }

    @Test func silentConnectionIsClosedAfterTheHandshakeTimeout() throws {
        var limits = ServerLimits()
        limits.handshakeTimeout = .milliseconds(50)
        try withFixture(limits: limits) { fixture in
            let socket = try PlainSocket(to: fixture.listener.address)
            #expect(socket.readToEnd())
            #expect(eventually { fixture.listener.connectionCount == 0 })
        }
    }

    @Test func frameThatNeverEndsIsClosed() throws {
        var limits = ServerLimits()
        limits.frameTimeout = .milliseconds(200)
        try withFixture(limits: limits) { fixture in
            let slow = try fixture.pool.dialUnpinned(fixture.listener.address)
                .wait(for: .seconds(30))
            slow.sendUnframed(Frame.requestHeader(operation: 1, id: 1, bodyBytes: 10) + [1])
            #expect(eventually { !slow.isOpen })
            #expect(eventually { fixture.log.all.contains { $0.contains("a frame takes longer") } })
            try fixture.expectAlive()
        }
    }

    @Test func clientThatLeavesInTheMiddleOfAFrameIsLogged() throws {
        try withFixture { fixture in
            let leaving = try fixture.pool.dialUnpinned(fixture.listener.address)
                .wait(for: .seconds(30))
            leaving.sendUnframed(Frame.requestHeader(operation: 1, id: 1, bodyBytes: 4 << 20) + [1])
            leaving.close()
            #expect(
                eventually { fixture.log.all.contains { $0.contains("in the middle of a frame") } }
            )
            try fixture.expectAlive()
        }
    }

    @Test func idleConnectionIsClosed() throws {
        var limits = ServerLimits()
        limits.idleTimeout = .milliseconds(100)
        try withFixture(limits: limits) { fixture in
            let idle = try fixture.pool.dialUnpinned(fixture.listener.address)
                .wait(for: .seconds(30))
            #expect(eventually { !idle.isOpen })
        }
    }

    @Test func connectionsAboveTheLimitAreClosed() throws {
        var limits = ServerLimits()
        limits.connectionsMax = 2
        try withFixture(limits: limits) { fixture in
            let first = try fixture.pool.dialUnpinned(fixture.listener.address)
                .wait(for: .seconds(30))
            let second = try fixture.pool.dialUnpinned(fixture.listener.address)
                .wait(for: .seconds(30))
            #expect(throws: NetworkError.self) {
                try fixture.pool.dialUnpinned(fixture.listener.address).wait(for: .seconds(30))
            }
            #expect(fixture.log.all.contains { $0.contains("refused a connection: 2 are open") })
            first.close()
            #expect(eventually { fixture.listener.connectionCount == 1 })
            try fixture.expectAlive()
            second.close()
        }
    }

    /// Requests above the limit stay in the socket until earlier ones are answered.
    @Test func requestsAboveTheLimitWait() throws {
        var limits = ServerLimits()
        limits.requestsPerConnectionMax = 4
        try withFixture(limits: limits) { fixture in
            // Each larger than what one read of the socket may bring along.
            let body = [UInt8](repeating: 1, count: 2 << 20)
            let replies = (0..<12).map { _ in fixture.request(2, body) }
            #expect(eventually { fixture.echo.held.withLock { $0.count } >= 4 })
            var answered = 0
            while answered < 12 {
                #expect(eventually { !fixture.echo.held.withLock { $0.isEmpty } })
                let held = fixture.echo.held.withLock { held in
                    defer { held = [] }
                    return held
                }
                #expect(held.count <= 5)
                for reply in held { reply.succeed() }
                answered += held.count
            }
            for reply in replies { _ = try reply.wait(for: .seconds(60)) }
        }
    }

    /// As clients do that exit, are killed, or only look whether the port is open.
    @Test(arguments: [false, true]) func clientThatLeavesIsNoComplaint(atOnce: Bool) throws {
        try withFixture { fixture in
            if atOnce {
                _ = try PlainSocket(to: fixture.listener.address)
                #expect(eventually { fixture.log.all.contains { $0.contains("closed: ") } })
            } else {
                try fixture.expectAlive()
                fixture.pool.stop()
            }
            #expect(eventually { fixture.listener.connectionCount == 0 })
            #expect(fixture.log.all.filter { $0.hasPrefix("warning") } == [])
        }
    }

    @Test func logOfComplaintsIsBounded() throws {
        try withFixture { fixture in
            for _ in 0..<100 {
                let socket = try PlainSocket(to: fixture.listener.address)
                socket.send([1, 2, 3, 4, 5, 6, 7, 8])
                #expect(socket.readToEnd())
            }
            try fixture.expectAlive()
            let complaints = fixture.log.all.filter { $0.hasPrefix("warning") }
            #expect(complaints.count <= 60)
            #expect(complaints.contains { $0.contains("not logged") })
        }
    }
}
