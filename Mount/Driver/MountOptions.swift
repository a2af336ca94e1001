package import Control
package import Primitives

/// The command line of `mount.mefs`, as `mount(8)` or a person gives it.
package struct MountOptions: Hashable, Sendable {
    /// What is to be mounted.
    package enum Source: Hashable, Sendable {
        /// A volume of this home.
        case volume(String)
        /// The standard volume on the embedded network, made at its first use.
        case embedded
    }

    /// Seconds that unmounting may spend on placing what is dirty, if nothing else is said: a
    /// minute, which a reboot can bear.
    ///
    /// What remains is on the local disk.
    package static let drainSecondsDefault = 60.0
    /// A week, which is for ever; the control socket takes no more.
    package static let drainSecondsMax = 7 * 86_400.0

    /// The longest wait before a repair: a month, in which a stripe may be lost.
    package static let repairWaitMax = 30 * 86_400.0
    /// The longest epoch: a day.
    package static let epochSecondsMax: UInt32 = 86_400

    package var source: Source
    /// Where to mount, as given.
    package var directory: String
    package var isReadOnly = false
    /// Mount the tree of one snapshot, named by time, name or version, in place of the live one.
    package var snapshot: String?
    package var cacheBytesMax: UInt64?
    package var dirtyBytesMax: UInt64?
    package var dirtyAgeSeconds: Double?
    package var phraseFile: String?
    /// Where the passphrase of a locked key is read from; "-" is standard input.
    package var passphraseFile: String?
    package var drainSeconds = Self.drainSecondsDefault
    /// Whether other users may look in; `nil` takes the default, which is yes for the superuser.
    package var allowsOthers: Bool?
    package var threadCount: Int?
    package var debugs = false
    package var allowsNonEmpty = false
    package var isForeground = false
    package var isVerbose = false
    /// Leave `mount(8)`'s own table alone (-n).
    package var skipsUserTable = false
    /// Take the volume over from a machine that is silent.
    package var takesOver = false
    /// Go on although keepers have only heads that are older than what this machine has seen.
    package var acceptsRollback = false
    /// Whether to go on without changes that were lost with the cache.
    package var discardsLostChanges = false
    /// Leaves that every provider must prove in each epoch.
    package var auditLeaves: Int?
    /// How long a shard alone in its stripe may be out of reach before it is rebuilt.
    package var repairWaitSeconds: Double?
    /// The most bytes a second that repairs move.
    package var repairBytesPerSecond: UInt64?
    /// Whether the keepers audit and repair while nothing is mounted.
    package var delegates = true
    /// Whether the kernel may read and write cached files by itself.
    package var passesThrough = true
    /// Length of an epoch of the embedded network, if this mount makes it.
    package var epochSeconds: UInt32?
    /// Generic options that the kernel's mount takes as they are.
    package var kernelOptions: [String] = []
    /// When reading changes access times; of the options about it the last one counts.
    package var accessTimes = AccessTimePolicy.relative
    /// Directories keep theirs (`nodiratime`).
    package var keepsDirectoryTimes = false

    /// Whether the mount shows what another machine makes of the volume.
    package var follows: Bool { isReadOnly && snapshot == nil }

    package init(source: Source, directory: String) {
        self.source = source
        self.directory = directory
    }
}

extension MountOptions {
    package static let usage = """
        usage: mount.mefs [VOLUME] DIR [-f] [-v] [-r] [-o OPTION,...]
        With DIR alone, mounts the volume 'home' on a network embedded in this machine.
        Options: ro, rw, snapshot=TIME|NAME|VERSION, cache-size=SIZE, dirty-max=SIZE,
        dirty-age=SECONDS, phrase-file=FILE, passphrase-file=FILE, sync=local, drain=SECONDS,
        threads=N, takeover, accept-rollback, discard-lost, audit-leaves=N, repair-wait=SECONDS,
        repair-rate=SIZE,
        delegate=on|off, epoch=SECONDS, passthrough=auto|off, allow_other, noallow_other, nonempty,
        debug, and those of every filesystem; see mount.mefs(8).
        """

    /// Parses what follows the program's name.
    ///
    /// - Throws: `usage`, naming the argument that makes no sense.
    package init(parsing arguments: [String]) throws(ControlFailure) {
        let words = try HelperArguments(parsing: arguments)
        switch words.operands.count {
        case 1: self.init(source: .embedded, directory: words.operands[0])
        case 2:
            self.init(
                source: .volume(Self.volumeName(words.operands[0])),
                directory: words.operands[1]
            )
        default: throw ControlFailure(.usage, Self.usage)
        }
        isForeground = words.flags.contains("f")
        isVerbose = words.flags.contains("v")
        skipsUserTable = words.flags.contains("n")
        for option in words.options { try apply(option) }
        if words.flags.contains("r") { isReadOnly = true }
        if words.flags.contains("w") { isReadOnly = false }
        // A snapshot never changes, whatever else is said.
        if snapshot != nil { isReadOnly = true }
    }

    /// The name as people give it, or as the table of mounts shows it ("mefs:NAME").
    private static func volumeName(_ text: String) -> String {
        text.hasPrefix("mefs:") ? String(text.dropFirst("mefs:".count)) : text
    }

    private mutating func apply(_ option: String) throws(ControlFailure) {
        let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard parts.count > 1 else { return try apply(flag: name) }
        try apply(name, value: String(parts[1]))
    }

    private mutating func apply(flag: String) throws(ControlFailure) {
        switch flag {
        case "ro": isReadOnly = true
        case "rw": isReadOnly = false
        case "allow_other": allowsOthers = true
        case "noallow_other": allowsOthers = false
        case "debug": debugs = true
        case "nonempty": allowsNonEmpty = true
        case "discard-lost": discardsLostChanges = true
        case "takeover": takesOver = true
        case "accept-rollback": acceptsRollback = true
        case "noatime": accessTimes = .never
        case "relatime", "atime", "nostrictatime": accessTimes = .relative
        case "strictatime": accessTimes = .always
        case "nodiratime": keepsDirectoryTimes = true
        case "diratime": keepsDirectoryTimes = false
        case _ where Self.forKernel.contains(flag): kernelOptions.append(flag)
        case _ where Self.isIgnored(flag): break
        default: throw Self.unknown(flag)
        }
    }

    private mutating func apply(_ name: String, value: String) throws(ControlFailure) {
        switch name {
        case "cache-size": cacheBytesMax = try OptionValue(name, value).bytes()
        case "dirty-max": dirtyBytesMax = try OptionValue(name, value).bytes()
        case "dirty-age":
            dirtyAgeSeconds = try OptionValue(name, value).seconds(max: Self.drainSecondsMax)
        case "drain":
            drainSeconds = try OptionValue(name, value).seconds(max: Self.drainSecondsMax)
        case "threads":
            threadCount = Int(try OptionValue(name, value).count(upTo: 64))
        case "audit-leaves":
            auditLeaves = Int(
                try OptionValue(name, value).count(upTo: UInt64(ControlRequest.leavesMax))
            )
        case "repair-wait":
            repairWaitSeconds = try OptionValue(name, value).seconds(max: Self.repairWaitMax)
        case "repair-rate": repairBytesPerSecond = try OptionValue(name, value).bytes()
        case "delegate": delegates = try OptionValue(name, value).isOn()
        case "epoch":
            epochSeconds = UInt32(
                try OptionValue(name, value).count(upTo: UInt64(Self.epochSecondsMax))
            )
        case "passthrough":
            guard ["auto", "off"].contains(value) else {
                throw ControlFailure(.usage, "passthrough=\(value) is not known: auto or off")
            }
            passesThrough = value == "auto"
        case "snapshot":
            guard !value.isEmpty else {
                throw ControlFailure(.usage, "snapshot= needs a time, a name or a version")
            }
            snapshot = value
        case "phrase-file":
            guard !value.isEmpty else {
                throw ControlFailure(.usage, "phrase-file= needs the name of a file")
            }
            phraseFile = value
        case "passphrase-file":
            guard !value.isEmpty else {
                throw ControlFailure(.usage, "passphrase-file= needs the name of a file, or -")
            }
            passphraseFile = value
        case "sync":
            guard value == "local" else {
                throw ControlFailure(
                    .usage,
                    "sync=\(value) is not known; this version has sync=local"
                )
            }
        case _ where Self.isIgnored(name): break
        default: throw Self.unknown(name)
        }
    }

    private static func unknown(_ option: String) -> ControlFailure {
        ControlFailure(.usage, "unknown mount option '\(option)'; see mount.mefs(8)")
    }

    /// What libfuse passes to `mount(2)`.
    private static let forKernel: Set<String> = [
        "dev", "nodev", "suid", "nosuid", "exec", "noexec", "async", "sync", "dirsync",
    ]

    /// What is for `mount(8)`, `fstab(5)` or systemd, or is so anyway.
    private static let ignored: Set<String> = [
        "", "defaults", "_netdev", "nofail", "auto", "noauto", "user", "nouser", "users", "owner",
        "group", "loud", "silent", "comment", "default_permissions", "acl",
    ]

    private static func isIgnored(_ name: String) -> Bool {
        ignored.contains(name) || name.hasPrefix("x-") || name.hasPrefix("X-")
    }
}
