package import Disk

/// Why something of the home directory cannot be had: one line that names the thing and says what
/// to do.
package struct HomeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a script may want to tell apart; each has an exit code of the same name
    /// (`docs/home.md`).
    package enum Code: Sendable, CaseIterable {
        case failed
        /// A name or path makes no sense.
        case usage
        case notFound
        /// It is there already, or in use.
        case already
        /// Embedded keeper or providers did not come up.
        case unreachable
        /// The recovery phrase is another owner's, or a key is missing.
        case wrongSecret
        case diskFull
        /// A file of ours holds something else than we wrote.
        case corrupt
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package init(_ error: DiskError) {
        self.init(error.isNoSpace ? .diskFull : .failed, error.description)
    }

    package var description: String { message }
}

/// Runs `body` and gives its error as ours.
func withDisk<Result>(
    _ body: () throws(DiskError) -> Result
) throws(HomeError) -> Result {
    do throws(DiskError) {
        return try body()
    } catch {
        throw HomeError(error)
    }
}
