import Control
import Disk
import FUSE
import Glibc
import Home
import Sealing

/// `mount.mefs`, and under its other names `umount.mefs`.
package enum MountProgram {
    /// Names that make it the helper of `umount(8)`, which looks for one by the type of the mount.
    private static let unmountNames: Set<String> = ["umount.mefs", "umount.fuse.mefs"]

    /// Runs the program.
    ///
    /// - Parameter arguments: with the program's own name first.
    /// - Returns: the exit code of the process.
    package static func run(_ arguments: [String]) -> Int32 {
        ProcessSecrecy.begin()
        let name = arguments.first.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
        let words = Array(arguments.dropFirst())
        if words == ["--help"] || words == ["-h"] {
            Terminal.error(MountOptions.usage)
            return ExitCode.ok.rawValue
        }
        let isUnmount = name.map(unmountNames.contains) ?? false
        do throws(ControlFailure) {
            if isUnmount {
                try UnmountProgram(try UnmountOptions(parsing: words)).run()
            } else {
                try mount(words)
            }
            return ExitCode.ok.rawValue
        } catch {
            // A mount process has told who started it already.
            if !isMountProcess(words) {
                Terminal.error("\(isUnmount ? "umount.mefs" : "mount.mefs"): \(error.message)")
            }
            return error.code.rawValue
        }
    }

    private static func isMountProcess(_ words: [String]) -> Bool {
        words.first?.hasPrefix(BackgroundMount.readyArgument) ?? false
    }

    private static func mount(_ words: [String]) throws(ControlFailure) {
        if isMountProcess(words) { return try serveInBackground(words) }
        let options = try MountOptions(parsing: words)
        guard !options.isForeground else {
            return try serve(options, try options.readPassphrase(), Readiness(fd: nil))
        }
        let note = { (text: String) in Terminal.error("mount.mefs: \(text)") }
        // Here too, so that the commonest mistakes cost no process.
        let mountPoint = try MountPoint(
            preparing: options.directory,
            allowsNonEmpty: options.allowsNonEmpty,
            note: note
        )
        let passphrase = try options.readPassphrase()
        try BackgroundMount.start(words, passphrase: passphrase, at: mountPoint.path, note: note)
        if options.isVerbose { note("mounted at \(mountPoint.path)") }
    }

    private static func serveInBackground(_ words: [String]) throws(ControlFailure) {
        let fd = words[0].dropFirst(BackgroundMount.readyArgument.count)
        let readiness = Readiness(fd: Int32(fd))
        do throws(ControlFailure) {
            let passphrase = try BackgroundMount.receivePassphrase()
            let options = try MountOptions(parsing: Array(words.dropFirst()))
            try serve(options, consume passphrase, readiness)
        } catch {
            readiness.failed(error)
            throw error
        }
    }

    private static func serve(
        _ options: MountOptions,
        _ passphrase: consuming Passphrase?,
        _ readiness: Readiness
    ) throws(ControlFailure) {
        // Before any thread is started: they inherit the blocked signals.
        let signals = SignalWaiter()
        signal(SIGPIPE, SIG_IGN)
        ProcessMemory.keepLargeBlocks()
        try MountProcess.run(
            options,
            // Wiped as soon as the volume is open, and not kept to the end of the mount.
            passphrase: consume passphrase,
            signals: signals,
            readiness: readiness
        )
    }
}

extension MountOptions {
    /// The passphrase of the volume's key, if that is locked and no recovery phrase is given;
    /// asked for at the terminal unless a file is named.
    fileprivate func readPassphrase() throws(ControlFailure) -> Passphrase? {
        guard phraseFile == nil else { return nil }
        do throws(HomeError) {
            let home = try Home()
            let name =
                switch source {
                case .embedded: VolumeName.standard
                case .volume(let name): name
                }
            // A volume that is not there yet has no lock; whether it should be there is seen later.
            guard WholeFile.exists(home.path(ofVolume: name)) else { return nil }
            guard try VolumeDirectory.open(name, in: home).needsPassphrase() else { return nil }
            guard passphraseFile != nil || PassphraseSource.hasTerminal else { return nil }
            return try PassphraseSource(file: passphraseFile)
                .read("Passphrase of volume '\(name)'")
        } catch {
            throw ControlFailure(error)
        }
    }
}
