import ArgumentParser

/// What this build calls itself.
enum Version {
    static let number = "0.1.0"
    /// Formats on disk and wire that this build reads and writes; docs/ describes them.
    static let format = 1
    static let text = "mefs \(number) (format \(format))"
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version of the program and of its formats."
    )

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        guard json else { return Output.line(Version.text) }
        try Output.json(Report(version: Version.number, format: Version.format))
    }

    private struct Report: Encodable {
        let version: String
        let format: Int
    }
}
