import FUSE
import Glibc
import Logging
import Primitives
import Volume

/// Answers requests of the kernel with what a volume says, or its error as errno.
protocol RequestServing: Sendable {
    /// Hears of what is worse than programs expect.
    var logger: Logger { get }
}

/// Parts of every operation.
extension RequestServing {
    /// Runs a call of the engine for its answer or its error.
    func attempt<Answer>(
        _ body: () throws(FileSystemError) -> Answer
    ) -> Result<Answer, FileSystemError> {
        do throws(FileSystemError) {
            return .success(try body())
        } catch {
            return .failure(error)
        }
    }

    /// Answers with an error, logging it if it tells of trouble.
    func fail(_ request: consuming Request, _ error: FileSystemError) {
        let verdict = error.code.verdict
        if let level = verdict.level { logger.log(level: level, "\(error.message)") }
        request.fail(verdict.errno)
    }

    /// Runs `body` at once without waiting, or on `lane` if it would wait; then replies.
    func serve<Answer>(
        _ request: consuming Request,
        on lane: BlockingPool,
        _ body: @escaping @Sendable (Wait) throws(FileSystemError) -> Answer,
        reply: @escaping @Sendable (consuming Request, Answer) -> Void
    ) {
        switch attempt({ () throws(FileSystemError) in try body(.never) }) {
        case .success(let answer): reply(request, answer)
        case .failure(let error) where error.code == .wouldWait:
            serveWaiting(request, on: lane, body, reply: reply)
        case .failure(let error): fail(request, error)
        }
    }

    /// Runs `body` on `lane`; then replies.
    func serveWaiting<Answer>(
        _ request: consuming Request,
        on lane: BlockingPool,
        _ body: @escaping @Sendable (Wait) throws(FileSystemError) -> Answer,
        reply: @escaping @Sendable (consuming Request, Answer) -> Void
    ) {
        let handover = request.handOver()
        lane.run {
            switch self.attempt({ () throws(FileSystemError) in try body(.allowed) }) {
            case .success(let answer): reply(handover.take(), answer)
            case .failure(let error): self.fail(handover.take(), error)
            }
        }
    }

    /// The bytes as a name of an entry.
    func entryName(_ bytes: [UInt8]) throws(FileSystemError) -> EntryName {
        do throws(EntryName.Problem) {
            return try EntryName(bytes)
        } catch {
            throw FileSystemError(error)
        }
    }

    /// Runs a call that has no answer but success.
    func done(_ request: consuming Request, _ body: () throws(FileSystemError) -> Void) {
        switch attempt(body) {
        case .success: request.done()
        case .failure(let error): fail(request, error)
        }
    }

    /// Answers with a value, or its size if that is asked, or ERANGE if it does not fit.
    func reply(_ request: consuming Request, value: [UInt8], bytesMax: Int) {
        if bytesMax == 0 {
            request.reply(attributeBytes: value.count)
        } else if value.count > bytesMax {
            request.fail(ERANGE)
        } else {
            request.reply(bytes: value)
        }
    }

    /// Answers with names of extended attributes.
    ///
    /// The kernel shows the list as it is; trusted attributes are for the superuser only.
    func reply(_ request: consuming Request, attributeNames: [[UInt8]], bytesMax: Int) {
        let trusted = Array("trusted.".utf8)
        var names = attributeNames
        if names.contains(where: { $0.starts(with: trusted) }), !request.caller.has(.sysAdmin) {
            names.removeAll { $0.starts(with: trusted) }
        }
        reply(request, value: names.flatMap { $0 + [0] }, bytesMax: bytesMax)
    }
}
