import ArgumentParser
import Control
import Disk
import Home
import Network
import Node
import Primitives
import Sealing
import Transport

extension ControlFailure {
    /// Writes `error` as one line to standard error (help goes to standard output) and gives the
    /// process's exit code.
    static func report(_ error: any Error) -> Int32 {
        if let failure = ControlFailure(wrapping: error) {
            Output.error("mefs: \(oneLine(failure.message))")
            return failure.code.rawValue
        }
        guard !Mefs.exitCode(for: error).isSuccess else {
            Output.line(Mefs.fullMessage(for: error))
            return Control.ExitCode.ok.rawValue
        }
        Output.error("mefs: \(oneLine(Mefs.message(for: error))); see 'mefs --help'")
        return Control.ExitCode.usage.rawValue
    }

    /// The failure that `error` amounts to, or `nil` if it is the argument parser's own.
    private init?(wrapping error: any Error) {
        switch error {
        case let failure as ControlFailure: self = failure
        case let error as NetworkError: self.init(error)
        case let error as HomeError: self.init(error)
        case let error as PhraseError: self.init(.wrongSecret, "\(error)")
        case let error as SealingError: self.init(.failed, "\(error)")
        case let error as DiskError: self.init(error)
        case let error as FileSystemError: self.init(error)
        case let error as NodeError: self.init(error)
        default: return nil
        }
    }

    private init(_ error: NetworkError) {
        let code: Control.ExitCode =
            switch error.code {
            case .unreachable, .timedOut, .closed: .unreachable
            case .notFound: .notFound
            case .exists, .conflict, .superseded: .already
            case .full: .diskFull
            case .unauthorized: .wrongSecret
            case .corrupt: .corrupt
            case .refused, .malformed, .retained: .failed
            }
        self.init(code, error.message)
    }

    private init(_ error: HomeError) {
        let code: Control.ExitCode =
            switch error.code {
            case .failed: .failed
            case .usage: .usage
            case .notFound: .notFound
            case .already: .already
            case .unreachable: .unreachable
            case .wrongSecret: .wrongSecret
            case .diskFull: .diskFull
            case .corrupt: .corrupt
            }
        self.init(code, error.message)
    }

    private init(_ error: NodeError) {
        let code: Control.ExitCode =
            switch error.code {
            case .failed: .failed
            case .usage: .usage
            case .inUse: .already
            case .wrongKey: .wrongSecret
            case .diskFull: .diskFull
            case .corrupt: .corrupt
            }
        self.init(code, error.description)
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
