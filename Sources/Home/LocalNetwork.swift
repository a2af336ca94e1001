import Disk
package import Logging
package import Network
package import Primitives
import Sealing
import Synchronization
import Transport

// Layout, below networks/local:
//
//   lock                      held by the process that runs the daemons
//   local.json                ports and capacity: LocalNetworkSettings
//   network.json              the network file, signed by the keeper
//   keeper/, provider-1/ ...  the daemons' own directories
//   keeper.log, provider-1.log ...

/// The embedded network: one keeper and six providers on this machine, each a process of its own.
///
/// The first mount that needs it runs the daemons; others use them, and one of those takes over
/// when it ends. All methods block.
package final class LocalNetwork: Sendable {
    /// Enough for the code 4+2, with each shard of a stripe in a folder of its own.
    package static let providerCount = 6
    /// What new volumes use; k + m is the number of providers.
    package static let code: ErasureCode = {
        guard let code = ErasureCode(k: 4, m: 2) else { preconditionFailure("4+2 is a code") }
        return code
    }()
    package static let networkName = "local"

    /// For the daemons to come up; on an idle machine it takes less than a second.
    private static let startTimeout = Duration.seconds(60)
    /// After so long `code.k` providers are enough: a broken folder must not keep the files of the
    /// others from being read.
    private static let patience = Duration.seconds(15)
    /// A daemon that ended so often while all come up is not going to.
    private static let startsMax = 5
    /// Between two looks at whether they have.
    private static let pollPause = Duration.milliseconds(50)
    /// Between two tries at taking over the daemons of another mount.
    private static let takeoverPause = Duration.milliseconds(500)
    /// For the daemons of a mount that was killed to end by themselves.
    private static let orphansTimeout = Duration.seconds(15)

    private struct State {
        var lock: FileLock?
        var keeper: SupervisedChild?
        var providers: [SupervisedChild] = []
        var isStopping = false

        var children: [SupervisedChild] { (keeper.map { [$0] } ?? []) + providers }
    }

    private let directory: String
    private let program: String?
    private let epochSeconds: UInt32?
    private let logger: Logger
    private let state = Condition(State())
    private let successor = Mutex<Thread?>(nil)

    /// Describes the network of `home`; `program` is the path of `mefs`, by default the one beside
    /// the running program.
    ///
    /// `epochSeconds` is the length of an epoch if the network is yet to be made; `nil` for the
    /// keeper's default.
    package init(
        home: Home,
        logger: Logger,
        program: String? = nil,
        epochSeconds: UInt32? = nil
    ) {
        directory = home.localNetworkPath
        self.program = program
        self.epochSeconds = epochSeconds
        self.logger = logger
    }

    /// The network file of the embedded network.
    ///
    /// - Throws: `notFound` if the network was never started.
    package static func networkFile(in home: Home) throws(HomeError) -> NetworkFile {
        let path = home.localNetworkPath + "/network.json"
        guard WholeFile.exists(path) else {
            throw HomeError(
                .notFound,
                "the local network of \(home.path) was never started; mount a volume"
            )
        }
        return try NetworkFile.stored(at: path)
    }

    /// Process ids of the daemons run by this process.
    package var childPIDs: [Int32] { state.withLock { $0.children }.compactMap(\.pid) }

    /// Whether this process runs the daemons, and not another mount.
    package var isSupervisor: Bool { state.withLock { $0.lock != nil } }

    // MARK: Starting and stopping

    /// Starts the daemons, unless another mount runs them, and returns when the keeper knows all
    /// six providers, or after a while enough of them to read.
    ///
    /// Once only; a failed start has ended what it began.
    ///
    /// - Throws: `unreachable` if that takes too long, naming the log to look at.
    package func start() throws(HomeError) -> NetworkFile {
        do throws(HomeError) {
            try withDisk { () throws(DiskError) in try Directory.make(directory) }
            let begun = Clock.now()
            let isSupervisor = try takeLock()
            if isSupervisor {
                try startDaemons()
            } else {
                try poll(for: "the local network of another mount") {
                    () throws(NetworkError) in WholeFile.exists(networkPath) ? () : nil
                }
                try startSuccessor()
            }
            let network = try NetworkFile.stored(at: networkPath)
            // What the keeper remembers from before the start does not count.
            try waitForProviders(of: network, seenSince: isSupervisor ? begun : .epoch)
            return network
        } catch {
            stop()
            throw error
        }
    }

    /// Ends the daemons that this process runs and returns when they have ended.
    package func stop() {
        state.update { $0.isStopping = true }
        successor.withLock { $0 }?.join()
        stopChildren()
    }

    private func stopChildren() {
        let children = state.withLock { $0.children }
        for child in children { child.beginStop() }
        for child in children { child.stop() }
        // Only now may another mount start its own on the same directories.
        let lock = state.withLock { state -> FileLock? in
            state.keeper = nil
            state.providers = []
            defer { state.lock = nil }
            return state.lock
        }
        lock?.release()
    }

    private var networkPath: String { directory + "/network.json" }

    private func takeLock() throws(HomeError) -> Bool {
        do throws(FileLock.Failure) {
            let lock = try FileLock(directory + "/lock", note: "local network")
            state.withLock { $0.lock = lock }
            return true
        } catch {
            switch error {
            case .held: return false
            case .disk(let error): throw HomeError(error)
            }
        }
    }

    // MARK: Daemons

    private func startDaemons() throws(HomeError) {
        let program = try programPath()
        waitForOrphans()
        let settings = try LocalNetworkSettings.load(from: directory, epochSeconds: epochSeconds)
        if let epochSeconds, settings.epochSeconds != epochSeconds {
            logger.warning("the local network is made; its epochs stay as long as they are")
        }
        let listen = "127.0.0.1:\(settings.keeperPort)"
        let epoch = settings.epochSeconds.map { ["--epoch", "\($0)"] } ?? []
        let keeper = try startChild(
            "keeper",
            program,
            ["keeper", "run", "--state", directory + "/keeper", "--listen", listen, "--supervised"]
                + epoch
        )
        state.withLock { $0.keeper = keeper }
        // Providers that find no keeper try again only after a while, so it comes first.
        try waitForKeeper(at: listen)
        for (index, port) in settings.providerPorts.enumerated() {
            let name = Self.providerName(index)
            let provider = try startChild(
                name,
                program,
                [
                    "provider", "run", "--store", directory + "/" + name,
                    "--capacity", "\(settings.capacityBytes)", "--network", networkPath,
                    "--listen", "127.0.0.1:\(port)", "--supervised",
                ]
            )
            state.withLock { $0.providers.append(provider) }
        }
    }

    /// From 0, as the array has them; people count from 1.
    private static func providerName(_ index: Int) -> String { "provider-\(index + 1)" }

    /// Waits until the daemons of a mount that was killed have ended: they have noticed, but may
    /// still be writing down what they have, and hold the ports.
    private func waitForOrphans() {
        let deadline = Clock.monotonic() + Self.orphansTimeout
        let names = ["keeper"] + (0..<Self.providerCount).map(Self.providerName)
        for name in names {
            while FileLock.holder(of: "\(directory)/\(name)/lock") != nil,
                Clock.monotonic() < deadline
            {
                Clock.sleep(for: Self.pollPause)
            }
        }
    }

    /// Tries from now on to take over from the mount that runs the daemons.
    private func startSuccessor() throws(HomeError) {
        let thread = try withDisk { () throws(DiskError) in
            try Thread.spawn("local-network") { [self] in takeOver() }
        }
        successor.withLock { $0 = thread }
    }

    private func takeOver() {
        while true {
            let isStopping = state.wait(for: Self.takeoverPause) { $0.isStopping ? true : nil }
            if isStopping == true { return }
            do throws(HomeError) {
                guard try takeLock() else { continue }
                logger.info("the mount that ran the local network ended; this one runs it now")
                try startDaemons()
                return
            } catch {
                logger.error("the local network cannot be taken over: \(error)")
                stopChildren()
            }
        }
    }

    private func programPath() throws(HomeError) -> String {
        if let program { return program }
        let running = try withDisk { () throws(DiskError) in try Host.executablePath() }
        let path = Directory.parent(of: running) + "/mefs"
        guard WholeFile.exists(path) else {
            throw HomeError(
                .failed,
                "the program mefs is not beside \(running); install both in one directory"
            )
        }
        return path
    }

    private func startChild(
        _ name: String,
        _ program: String,
        _ arguments: [String]
    ) throws(HomeError) -> SupervisedChild {
        let child = SupervisedChild(
            name: name,
            program: program,
            arguments: arguments,
            logPath: "\(directory)/\(name).log",
            logger: logger
        )
        try withDisk { () throws(DiskError) in try child.start() }
        return child
    }

    /// Waits until the keeper answers, and has it sign the network file, unless there is one with
    /// this address.
    private func waitForKeeper(at text: String) throws(HomeError) {
        guard let address = NodeAddress(text) else {
            preconditionFailure("loopback and a port are an address")
        }
        let old = WholeFile.exists(networkPath) ? try NetworkFile.stored(at: networkPath) : nil
        let identity = try Self.visitor()
        if let known = old?.keepers.first, known.address == address {
            let key = try poll(for: "the local keeper") { () throws(NetworkError) in
                try FirstContact.describe(address, as: identity).key
            }
            return try check(key, against: known)
        }
        let file = try poll(for: "the local keeper") { () throws(NetworkError) in
            try FirstContact.exportNetwork(
                named: Self.networkName,
                code: Self.code,
                from: address,
                as: identity
            )
        }
        if let known = old?.keepers.first, let key = file.keepers.first?.publicKey {
            try check(key, against: known)
        }
        let bytes = file.encoded()
        try withDisk { () throws(DiskError) in try WholeFile.replace(networkPath, with: bytes) }
    }

    private func check(_ key: PublicKey, against known: KeeperEndpoint) throws(HomeError) {
        guard key == known.publicKey else {
            throw HomeError(
                .wrongSecret,
                "the keeper in \(directory)/keeper has another key than \(networkPath) says;"
                    + " restore both from one backup"
            )
        }
    }

    /// A key to ask with; the keeper tells anybody.
    private static func visitor() throws(HomeError) -> SigningKey {
        do throws(SealingError) {
            return try SigningKey.random()
        } catch {
            throw HomeError(.failed, "cannot make a key: \(error)")
        }
    }

    private func waitForProviders(
        of network: NetworkFile,
        seenSince begun: Timestamp
    ) throws(HomeError) {
        let loops = EventLoops()
        defer { loops.stop() }
        let identity = try Self.visitor()
        let pool: ConnectionPool
        do throws(NetworkError) {
            pool = try ConnectionPool(identity: identity, loops: loops)
        } catch {
            throw HomeError(.failed, error.message)
        }
        defer { pool.stop() }
        let client = KeeperClient(keepers: network.keepers, pool: pool)
        let impatient = Clock.monotonic() + Self.patience
        let count = try poll(for: "the local providers") { () throws(NetworkError) -> Int? in
            let count = try client.providers().wait(for: KeeperClient.timeout)
                .filter { $0.isUp && $0.lastSeen >= begun }.count
            let wanted =
                Clock.monotonic() < impatient ? Self.providerCount - hopeless.count : 0
            return count >= max(wanted, Self.code.k) ? count : nil
        }
        if count < Self.providerCount {
            logger.warning("only \(count) of \(Self.providerCount) local providers came up")
        }
    }

    /// Asks again until there is an answer.
    private func poll<Result>(
        for what: String,
        _ ask: () throws(NetworkError) -> Result?
    ) throws(HomeError) -> Result {
        let deadline = Clock.monotonic() + Self.startTimeout
        var reason = "not enough have reported"
        repeat {
            do throws(NetworkError) {
                if let result = try ask() { return result }
            } catch {
                reason = error.message
            }
            let hopeless = hopeless
            if let first = hopeless.first, hopeless.count > Self.code.m || first.name == "keeper" {
                reason = "\(first.name) \(first.lastEnd ?? "ended again and again")"
                break
            }
            if state.withLock({ $0.isStopping }) { break }
            Clock.sleep(for: Self.pollPause)
        } while Clock.monotonic() < deadline
        throw HomeError(
            .unreachable,
            "\(what) did not come up: \(reason) (logs: \(directory)/*.log)"
        )
    }

    /// Daemons that have ended so often that they are not going to come up.
    private var hopeless: [SupervisedChild] {
        state.withLock { $0.children }.filter { $0.starts >= Self.startsMax }
    }
}
