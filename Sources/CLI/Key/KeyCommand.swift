import ArgumentParser

/// What is done with the keys of a volume: `docs/keys.md`.
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Lock, split, change and look at the keys of a volume.",
        subcommands: [
            KeyStatusCommand.self, KeyLockCommand.self, KeyUnlockCommand.self,
            KeySplitCommand.self, KeyCombineCommand.self, KeyRotateCommand.self,
        ]
    )
}
