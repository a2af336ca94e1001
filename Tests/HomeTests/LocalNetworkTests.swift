import Disk
import Glibc
import Home
import Logging
import Network
import Testing

/// The program `mefs`, where the whole package was built.
private let mefs: String? = {
    guard let running = try? Host.executablePath() else { return nil }
    let path = Directory.parent(of: running) + "/mefs"
    return WholeFile.exists(path) ? path : nil
}()

/// With real daemons, each a process.
@Suite(.enabled(if: mefs != nil), .serialized)
struct LocalNetworkTests {
    private let logger = Logger(label: "test")

    private func withNetwork(_ body: (Home, LocalNetwork, NetworkFile) throws -> Void) throws {
        try withHome { home in
            let network = LocalNetwork(home: home, logger: logger, program: mefs)
            let file = try network.start()
            defer { network.stop() }
            try body(home, network, file)
        }
    }

    private func isRunning(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }

    private func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
        let deadline = Clock.monotonic() + .seconds(60)
        while Clock.monotonic() < deadline {
            if try condition() { return true }
            Clock.sleep(for: .milliseconds(20))
        }
        return false
    }

    @Test func startedNetworkTakesAVolumeAndStopsWithoutLeftovers() throws {
        try withNetwork { home, network, file in
            let pids = network.childPIDs
            #expect(pids.count == 7)
            #expect(network.isSupervisor)
            let volume = try LocalNetwork.ensureVolume(in: home) { _ in }
            #expect(try volume.network() == file)
            let (identity, _) = try volume.unlock()
            let remote = try RemoteNetwork(file: file, identity: identity, logger: logger)
            defer { remote.close() }
            #expect(try remote.providers().count == LocalNetwork.providerCount)
            try volume.register(at: remote, as: identity)
            let registration = try #require(try remote.registration(of: volume.id))
            #expect(registration.id == volume.id)
            network.stop()
            #expect(pids.allSatisfy { !isRunning($0) })
            #expect(network.childPIDs.isEmpty)
        }
    }

    @Test func networkFileStaysFromRunToRun() throws {
        try withHome { home in
            let first = LocalNetwork(home: home, logger: logger, program: mefs)
            let file = try first.start()
            first.stop()
            let second = LocalNetwork(home: home, logger: logger, program: mefs)
            #expect(try second.start() == file)
            second.stop()
        }
    }

    @Test func lengthOfAnEpochIsSetAtTheMakingAndStays() throws {
        try withHome { home in
            for seconds: UInt32? in [7, 9, nil] {
                let network = LocalNetwork(
                    home: home,
                    logger: logger,
                    program: mefs,
                    epochSeconds: seconds
                )
                _ = try network.start()
                network.stop()
                let path = home.localNetworkPath + "/local.json"
                let text = String(decoding: try WholeFile.read(path, limit: 4096), as: UTF8.self)
                #expect(text.contains("\"epochSeconds\" : 7,"))
            }
        }
    }

    @Test func killedProviderComesBack() throws {
        try withNetwork { _, network, _ in
            let victim = try #require(network.childPIDs.last)
            kill(victim, SIGKILL)
            #expect(eventually { network.childPIDs.count == 7 && network.childPIDs.last != victim })
        }
    }

    @Test func secondMountUsesTheDaemonsAndTakesThemOver() throws {
        try withNetwork { home, first, file in
            let second = LocalNetwork(home: home, logger: logger, program: mefs)
            defer { second.stop() }
            let seen = try second.start()
            #expect(seen == file)
            #expect(!second.isSupervisor)
            #expect(second.childPIDs.isEmpty)
            first.stop()
            #expect(eventually { second.childPIDs.count == 7 })
            let kept = try LocalNetwork.networkFile(in: home)
            #expect(kept == file)
        }
    }

    @Test func programThatCannotServeIsToldOf() throws {
        try withHome { home in
            let network = LocalNetwork(home: home, logger: logger, program: "/bin/false")
            let error = #expect(throws: HomeError.self) { try network.start() }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("keeper exited with status 1") == true)
            #expect(error?.message.contains("keeper.log") == true)
            #expect(network.childPIDs.isEmpty)
        }
    }
}
