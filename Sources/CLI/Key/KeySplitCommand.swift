import ArgumentParser
import Control
import Disk
import Home
import Sealing

struct KeySplitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Split a volume's root seed into shares, some of which give it back.",
        discussion: """
            Fewer shares than are needed say nothing about the seed. Each is 32 words; they are \
            written to new files, or shown once on the terminal. The seed stays where it is.
            """
    )

    @Argument(help: "The volume's name.")
    var name: String

    @Option(name: .short, help: ArgumentHelp("Shares that give the seed back.", valueName: "k"))
    var k = 2

    @Option(name: .short, help: ArgumentHelp("Shares to make.", valueName: "n"))
    var n = 3

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Folder for the files share-1, share-2, ...", valueName: "folder")
    )
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Take the recovery phrase from a file, not this machine's key.",
            valueName: "file"
        )
    )
    var phraseIn: String?

    @OptionGroup var passphrase: PassphraseOption

    func validate() throws {
        guard 2 <= k, k <= n, n <= SeedShare.sharesMax else {
            throw ValidationError("-k is 2 or more, -n is -k to \(SeedShare.sharesMax)")
        }
    }

    func run() throws {
        guard output != nil || Output.isTerminal else {
            throw ControlFailure(.usage, "no terminal to show the shares on; give -o FOLDER")
        }
        let volume = try VolumeDirectory.open(name, in: try Home())
        let phrase = try PhraseFile.read(phraseIn)
        let seed = try volume.ownerSeed(
            phrase: phrase,
            passphrase: phrase == nil ? try passphrase.read(for: volume) : nil
        )
        let shares = SeedShare.split(seed, k: k, n: n)
        if let output { try write(shares, to: output) } else { show(shares) }
        Output.line(
            "any \(k) of the \(n) shares give the seed of volume \(name); keep them apart, and try"
                + " with 'mefs key combine' that they do"
        )
    }

    /// All or none: what is there already is not overwritten.
    private func write(_ shares: [SeedShare], to folder: String) throws {
        if !Directory.isDirectory(folder) { try Directory.make(folder) }
        var written: [String] = []
        do {
            for share in shares {
                let path = "\(folder)/share-\(share.number)"
                let text = Array(share.fileText.utf8)
                try WholeFile.create(path, with: text, permissions: 0o600)
                written.append(path)
            }
        } catch {
            for path in written { try? WholeFile.remove(path) }
            throw error
        }
        for path in written { Output.line(path) }
    }

    private func show(_ shares: [SeedShare]) {
        for share in shares { Output.line(share.fileText) }
    }
}

extension SeedShare {
    /// Four lines of words below one for people.
    fileprivate var fileText: String {
        let words = words
        let lines = stride(from: 0, to: words.count, by: 8).map {
            words[$0..<min($0 + 8, words.count)].joined(separator: " ")
        }
        let heading = "# MEFS share \(number) of \(n), set \(setName); any \(k) give the seed\n"
        return heading + lines.joined(separator: "\n") + "\n"
    }
}
