package import Disk
package import Primitives

/// An error on its way to a user's terminal: one line and the exit code of the program.
///
/// The line names the thing and says what to do.
package struct ControlFailure: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    package let code: ExitCode
    package let message: String

    package init(_ code: ExitCode, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}

extension ControlFailure {
    package init(_ error: FileSystemError) {
        let code: ExitCode =
            switch error.code {
            case .notFound: .notFound
            case .exists: .already
            case .noSpace: .diskFull
            case .unavailable: .unreachable
            case .corrupt: .corrupt
            case .busy: .incomplete
            default: .failed
            }
        self.init(code, error.message)
    }

    package init(_ error: DiskError) {
        let code: ExitCode =
            if error.isNoSpace {
                .diskFull
            } else if error.isNotFound {
                .notFound
            } else if error.isExists {
                .already
            } else {
                .failed
            }
        self.init(code, error.description)
    }
}
