import Glibc
import Logging
import Primitives
import Sealing
import Synchronization
import Testing
import Transport

/// The key of a test node: always the same for the same number.
func testKey(_ number: UInt8) throws -> SigningKey {
    try SigningKey(seed: Array(repeating: number, count: 32))
}

func address(_ text: String) throws -> NodeAddress {
    try #require(NodeAddress(text))
}

/// Collects what is logged.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var logLevel = Logger.Level.debug
        var metadata = Logger.Metadata()

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.lines.withLock { $0.append("\(event.level): \(event.message)") }
        }
    }
}

/// Answers with the body it was sent; operation 2 never answers, 3 fails, 4 answers twice 1 MiB.
final class Echo: RequestHandler {
    let held = Mutex<[Reply]>([])
    let peers = Mutex<[NodeID]>([])

    func handle(_ request: Request, reply: Reply) {
        peers.withLock { $0.append(request.peer) }
        switch request.operation {
        case 2: held.withLock { $0.append(reply) }
        case 3: reply.fail(NetworkError(.full, "no room\nfor \u{7} this"))
        case 4:
            reply.succeed(capacity: 1 << 20) { bytes in
                for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index) }
                return 5..<(1 << 20)
            }
        case 5: break
        default: reply.succeed(request.body)
        }
    }
}

/// A listening node with a handler, and a client's pool.
struct Fixture {
    let listener: Listener
    let echo: Echo
    let log: LogLines
    let pool: ConnectionPool
    let loops: EventLoops
    let serverID: NodeID

    func request(
        _ operation: UInt8,
        _ body: [UInt8] = [],
        timeout: Duration = .seconds(30)
    ) -> Pending<[UInt8]> {
        pool.request(
            operation,
            to: serverID,
            at: listener.address,
            head: body,
            timeout: timeout
        )
    }

    /// Whether the server still answers.
    func expectAlive() throws {
        #expect(try request(1, [1, 2, 3]).wait(for: .seconds(30)) == [1, 2, 3])
    }
}

func withFixture(
    limits: ServerLimits = ServerLimits(),
    _ body: (Fixture) throws -> Void
) throws {
    let loops = EventLoops()
    defer { loops.stop() }
    let serverKey = try testKey(1)
    let echo = Echo()
    let log = LogLines()
    let listener = try Listener.start(
        on: try address("127.0.0.1:0"),
        as: serverKey,
        loops: loops,
        limits: limits,
        handler: echo,
        logger: log.logger
    )
    defer { listener.stop() }
    let pool = try ConnectionPool(identity: try testKey(2), loops: loops)
    defer { pool.stop() }
    try body(
        Fixture(
            listener: listener,
            echo: echo,
            log: log,
            pool: pool,
            loops: loops,
            serverID: serverKey.publicKey.nodeID
        )
    )
}

/// A plain TCP connection, for what no client of ours would send.
final class PlainSocket {
    private let fd: Int32

    init(to address: NodeAddress) throws {
        fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = UInt16(address.port).bigEndian
        target.sin_addr.s_addr = inet_addr(address.host)
        let result = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0)
    }

    deinit { close(fd) }

    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Reads until the other side closes; `false` if it does not within a minute.
    func readToEnd() -> Bool {
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(fd, &buffer, buffer.count, 0)
            if count == 0 { return true }
            if count < 0 { return errno == ECONNRESET }
        }
    }
}

/// Waits until `condition` holds; `false` if it does not within a minute.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<6000 {
        if condition() { return true }
        usleep(10_000)
    }
    return false
}
