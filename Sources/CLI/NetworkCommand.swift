import ArgumentParser
import Control
import Disk
import Logging
import Network
import Primitives
import Reliability
import Sealing
import Transport

struct NetworkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network",
        abstract: "Make and look at network files.",
        subcommands: [Create.self, Export.self, Show.self]
    )

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask a running keeper for its network's file.",
            discussion: """
                Whoever has the file can join the network. The keeper's key is taken as it is met; \
                compare the id that is printed with the one in the keeper's log. A keeper of \
                several gives the file that names them all.
                """
        )

        @Option(help: ArgumentHelp("Address of the keeper.", valueName: "host:port"))
        var keeper: NodeAddress

        @Option(help: "Name of the network (default: the keeper's choice).")
        var name = ""

        @Option(
            help: ArgumentHelp(
                "Code of new volumes (default: the network's, else \(ErasureCode.standard)).",
                valueName: "k+m"
            )
        )
        var code: ErasureCode?

        @Option(
            name: .shortAndLong,
            help: ArgumentHelp("File to write (default: standard output).", valueName: "file")
        )
        var output: String?

        @Flag(help: "Print JSON; the file itself is JSON anyway.")
        var json = false

        func run() throws {
            let file = try FirstContact.exportNetwork(
                named: name,
                code: code ?? .standard,
                from: keeper,
                as: .random()
            )
            if let code, file.code != code {
                throw ControlFailure(
                    .already,
                    "network \(file.name) has the code \(file.code), and its file is not changed"
                )
            }
            guard let output else {
                return Output.raw(String(decoding: file.encoded(), as: UTF8.self))
            }
            try WholeFile.replace(output, with: file.encoded())
            if json { return try Output.json(NetworkReport(file, live: nil)) }
            let keepers = file.keepers.map { "\($0.publicKey.nodeID.short) at \($0.address)" }
            let word = keepers.count == 1 ? "keeper" : "keepers"
            Output.line(
                "\(output): network \(file.name), \(word) \(keepers.joined(separator: ", "))"
            )
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check a network file and print what it says."
        )

        @Argument(help: "The network file.")
        var file: String

        @Flag(help: "Ask its keepers for the providers too.")
        var live = false

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let network = try NetworkFile(readingFrom: file)
            let report = NetworkReport(network, live: live ? try look(at: network) : nil)
            if json { return try Output.json(report) }
            report.print()
        }

        private func look(at file: NetworkFile) throws -> NetworkReport.Live {
            let network = try RemoteNetwork(
                file: file,
                identity: .random(),
                logger: .silent
            )
            defer { network.close() }
            return NetworkReport.Live(
                providers: try network.providers(),
                scores: try scores(from: network, keepers: Set(file.keepers.map(\.publicKey)))
            )
        }

        /// What a keeper of the file has signed.
        private func scores(
            from network: RemoteNetwork,
            keepers: Set<PublicKey>
        ) throws -> [SignedScore] {
            var scores: [SignedScore] = []
            var page: ScoreList
            repeat {
                let query = ListScores(after: scores.last?.provider)
                page = try network.ask(query).wait(for: RemoteNetwork.keeperTimeout)
                scores += page.scores
            } while page.hasMore && !page.scores.isEmpty
            return scores.filter { keepers.contains($0.keeperKey) && $0.isSignatureValid }
        }
    }
}

/// What `mefs network` prints.
struct NetworkReport: Encodable {
    struct Keeper: Encodable {
        let id: String
        let address: String
        let publicKey: String
    }

    struct Provider: Encodable {
        let id: String
        let address: String
        let domain: String
        let up: Bool
        let leaving: Bool
        let usedBytes: UInt64
        let capacityBytes: UInt64
        /// The keeper's, signed by it, 0...1.
        let score: Double?
        let scoreReasons: [String]
    }

    /// What the keepers tell beyond the file.
    struct Live {
        let providers: [ProviderRecord]
        let scores: [SignedScore]
    }

    let name: String
    let code: String
    let keepers: [Keeper]
    let providers: [Provider]?
    let providersUp: Int?
    let providersDown: Int?

    init(_ file: NetworkFile, live: Live?) {
        name = file.name
        code = "\(file.code)"
        keepers = file.keepers.map { keeper in
            Keeper(
                id: keeper.publicKey.nodeID.hex,
                address: "\(keeper.address)",
                publicKey: Hex.encode(keeper.publicKey.bytes)
            )
        }
        let scores = Dictionary(
            (live?.scores ?? []).map { ($0.provider, $0.score) },
            uniquingKeysWith: { first, _ in first }
        )
        providers = live?.providers.map { provider in
            Provider(
                id: provider.id.hex,
                address: "\(provider.address)",
                domain: provider.domain,
                up: provider.isUp,
                leaving: provider.isLeaving,
                usedBytes: provider.usedBytes,
                capacityBytes: provider.capacityBytes,
                score: scores[provider.id]?.value,
                scoreReasons: scores[provider.id]?.reasons ?? []
            )
        }
        providersUp = live?.providers.count { $0.isUp }
        providersDown = live?.providers.count { !$0.isUp }
    }

    func print() {
        Output.line("network \(name), code \(code)")
        Output.table(
            [["keeper", "address"]] + keepers.map { [String($0.id.prefix(8)), $0.address] }
        )
        guard let providers else { return }
        Output.table(
            [["provider", "address", "domain", "state", "used", "capacity", "score", "because"]]
                + providers.map { provider in
                    [
                        String(provider.id.prefix(8)), provider.address,
                        String(provider.domain.prefix(16)),
                        provider.leaving ? "leaving" : provider.up ? "up" : "down",
                        Readable.bytes(provider.usedBytes), Readable.bytes(provider.capacityBytes),
                        provider.score.map { Readable.decimal($0, digits: 3) } ?? "-",
                        provider.scoreReasons.joined(separator: "; "),
                    ]
                }
        )
    }
}

extension Logger {
    /// For commands whose errors are what they say, and all they say.
    static var silent: Logger { Logger(label: "mefs") { _ in SwiftLogNoOpLogHandler() } }
}
