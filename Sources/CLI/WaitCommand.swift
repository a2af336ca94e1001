import ArgumentParser
import Control
import Glibc

struct WaitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until a file has come so far.",
        discussion: "Changes go up by themselves after a while; 'mefs sync' sends them at once."
    )

    enum Goal: String, ExpressibleByArgument, CaseIterable {
        /// On the local disk, as it is since it was written.
        case local
        /// On providers, all of it.
        case placed
        /// On providers that have all proved since that they hold it.
        case proved
    }

    /// Between two looks at a file's state, in microseconds; a look costs the mount next to
    /// nothing.
    private static let pollMicroseconds: UInt32 = 100_000

    @Argument(help: "A file in a mounted volume.")
    var path: String

    @Option(help: "How far: local, placed or proved.")
    var until: Goal = .placed

    @Option(help: ArgumentHelp("Give up after so long.", valueName: "seconds"))
    var timeout: Double?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let clock = ContinuousClock()
        let start = clock.now
        while true {
            let state = try MountLocator.state(of: path)
            if isReached(state) { return try report(state) }
            if let timeout, (clock.now - start) / .seconds(1) >= timeout {
                throw ControlFailure(.incomplete, "\(path) is still \(state); \(reason())")
            }
            usleep(Self.pollMicroseconds)
        }
    }

    private func isReached(_ state: PlacementState) -> Bool {
        switch until {
        case .local: true
        case .placed: state.isPlaced
        case .proved: state.isProved
        }
    }

    /// Why it takes so long, as the mount process has it.
    private func reason() -> String {
        let error = try? ControlClient(mountHolding: path).status().lastError
        return error ?? "look at 'mefs status', or give a longer --timeout"
    }

    private func report(_ state: PlacementState) throws {
        if json { try Output.json(Report(path: path, state: "\(state)")) }
    }

    private struct Report: Encodable {
        let path: String
        let state: String
    }
}
