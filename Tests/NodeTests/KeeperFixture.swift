import Disk
import Network
import Node
import Primitives
import Proofs
import Sealing
import Synchronization
import Testing
import Transport

/// A wall clock that a test sets.
final class TestClock: Sendable {
    private let time: Mutex<Timestamp>

    init(seconds: Int64 = 1_700_000_000) {
        time = Mutex(Timestamp(seconds: seconds, nanoseconds: 0))
    }

    var now: Timestamp { time.withLock { $0 } }

    func pass(_ seconds: Int64) {
        time.withLock { time in
            time = Timestamp(seconds: time.seconds + seconds, nanoseconds: 0)
        }
    }
}

/// A keeper alone, on a clock of the test's, and whoever asks it.
final class TestKeeper {
    let path: String
    let clock: TestClock
    let log = LogLines()
    private(set) var server: KeeperServer
    private(set) var client: RemoteNetwork
    private var isRunning = true

    init(
        _ path: String,
        clock: TestClock = TestClock(),
        epochSeconds: UInt32? = nil
    ) throws {
        self.path = path
        self.clock = clock
        (server, client) = try Self.start(path, clock, epochSeconds, log)
    }

    private static func start(
        _ path: String,
        _ clock: TestClock,
        _ epochSeconds: UInt32?,
        _ log: LogLines
    ) throws -> (KeeperServer, RemoteNetwork) {
        let server = KeeperServer(
            configuration: KeeperConfiguration(
                directory: path + "/keeper",
                listen: try Samples.address("127.0.0.1:0"),
                epochSeconds: epochSeconds
            ),
            logger: log.logger,
            now: { clock.now }
        )
        _ = try server.start()
        let client = try RemoteNetwork(
            file: try server.networkFile(named: "test", code: try Samples.code()),
            identity: try Samples.key(7),
            logger: log.logger
        )
        return (server, client)
    }

    func user(_ number: UInt8) throws -> RemoteNetwork {
        try RemoteNetwork(
            file: client.file,
            identity: try Samples.key(number),
            logger: log.logger
        )
    }

    func restart(epochSeconds: UInt32? = nil) throws {
        stop()
        (server, client) = try Self.start(path, clock, epochSeconds, log)
        isRunning = true
    }

    func stop() {
        guard isRunning else { return }
        isRunning = false
        client.close()
        server.stop()
    }

    func ask<Q: KeeperQuery>(_ query: Q) throws(NetworkError) -> Q.Answer {
        try client.ask(query).wait(for: .seconds(60))
    }

    func newestBeacon() throws -> BeaconBlock {
        try #require(try ask(FetchBeacons(newest: 1)).blocks.last)
    }
}

func withKeeper(epochSeconds: UInt32? = nil, _ body: (TestKeeper) throws -> Void) throws {
    try withScratch { path in
        let keeper = try TestKeeper(path, epochSeconds: epochSeconds)
        defer { keeper.stop() }
        try body(keeper)
    }
}
