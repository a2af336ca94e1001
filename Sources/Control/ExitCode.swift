/// How `mefs` and `mount.mefs` end.
///
/// The numbers are promised to scripts and never reused; `docs/home.md` lists them.
package enum ExitCode: Int32, Sendable, CaseIterable, Codable {
    case ok = 0
    /// Anything that has no number of its own.
    case failed = 1
    /// An argument or a file given on the command line makes no sense.
    case usage = 2
    /// No such volume, mount or file.
    case notFound = 3
    /// It is so already: mounted, there, locked by another process.
    case already = 4
    /// The keeper, or too few of the providers, can be reached.
    case unreachable = 5
    /// A recovery phrase, passphrase or key is not the one that fits.
    case wrongSecret = 6
    /// A disk or all providers are full.
    case diskFull = 7
    /// Stored bytes are not what was written.
    case corrupt = 8
    /// Time ran out and something remains to be done.
    case incomplete = 9

    /// What it means, for `--help` and the manual pages.
    package var meaning: String {
        switch self {
        case .ok: "done"
        case .failed: "any other failure"
        case .usage: "bad argument or input file"
        case .notFound: "no such volume, mount or file"
        case .already: "already mounted, existing or locked"
        case .unreachable: "keeper or too many providers out of reach"
        case .wrongSecret: "wrong recovery phrase, passphrase or key"
        case .diskFull: "disk or providers full"
        case .corrupt: "stored bytes are corrupt"
        case .incomplete: "time ran out, something remains"
        }
    }
}
