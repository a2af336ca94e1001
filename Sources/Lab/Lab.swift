import ArgumentParser
import Glibc

/// The command `mefs-lab`: measures and simulates what the documentation states as figures.
struct Lab: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mefs-lab",
        abstract: "Measure audits and simulate networks, with MEFS's own code.",
        subcommands: [
            ChurnCommand.self, DetectCommand.self, AuditCostCommand.self, SimulateCommand.self,
            FaultyProviderCommand.self, StagesCommand.self,
        ]
    )
}

@main
enum EntryPoint {
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        Lab.main()
    }
}
