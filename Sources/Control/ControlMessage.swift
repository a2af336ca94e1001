import FoundationEssentials

/// What can be asked of a mount process.
///
/// One JSON object on a line: `docs/home.md`.
package enum ControlRequest: Hashable, Sendable {
    case status
    /// Place everything written so far.
    case sync
    /// Evict all clean data from the cache.
    case dropCache
    /// Place what is dirty, for at most `drainSeconds`, then unmount and end.
    case stop(drainSeconds: Double)
}

/// What a mount process answers.
///
/// `progress` comes any number of times before one of the others.
package enum ControlReply: Hashable, Sendable {
    case status(VolumeStatus)
    case progress(SyncProgress)
    /// Done; `bytes` were evicted by `dropCache`, or remain dirty after `stop`.
    case done(bytes: UInt64)
    case failed(ControlFailure)
}

// The forms on the wire are structs of their own: an enum's synthesized JSON would tie the format
// to Swift's habits.

extension ControlRequest {
    /// The longest request, in bytes.
    static let lineBytesMax = 64 << 10
    /// The longest drain that can be asked for: a week, which is for ever.
    static let drainSecondsMax = 7 * 86_400.0

    private struct Text: Codable {
        var request: String
        var drainSeconds: Double?
    }

    /// One line without its end.
    package func encoded() -> [UInt8] {
        let text =
            switch self {
            case .status: Text(request: "status")
            case .sync: Text(request: "sync")
            case .dropCache: Text(request: "drop-cache")
            case .stop(let seconds): Text(request: "stop", drainSeconds: seconds)
            }
        return JSONLine.encode(text)
    }

    /// Parses a line.
    ///
    /// - Throws: `usage` if it is no request.
    package init(parsing line: [UInt8]) throws(ControlFailure) {
        let text: Text = try JSONLine.decode(line, as: "request")
        switch text.request {
        case "status": self = .status
        case "sync": self = .sync
        case "drop-cache": self = .dropCache
        case "stop":
            let seconds = text.drainSeconds ?? 0
            guard seconds >= 0, seconds <= Self.drainSecondsMax else {
                throw ControlFailure(
                    .usage,
                    "a drain takes 0 to \(Int(Self.drainSecondsMax)) seconds"
                )
            }
            self = .stop(drainSeconds: seconds)
        default:
            throw ControlFailure(
                .usage,
                "the mount process does not know the request '\(text.request)'"
            )
        }
    }
}

extension ControlReply {
    /// The longest reply, in bytes: a status with 8,192 providers fits.
    static let lineBytesMax = 8 << 20

    private struct Text: Codable {
        var status: VolumeStatus?
        var progress: SyncProgress?
        var doneBytes: UInt64?
        var failed: ControlFailure?
    }

    /// One line without its end.
    package func encoded() -> [UInt8] {
        var text = Text()
        switch self {
        case .status(let status): text.status = status
        case .progress(let progress): text.progress = progress
        case .done(let bytes): text.doneBytes = bytes
        case .failed(let failure): text.failed = failure
        }
        return JSONLine.encode(text)
    }

    /// Parses a line.
    ///
    /// - Throws: `failed` if it is no reply.
    package init(parsing line: [UInt8]) throws(ControlFailure) {
        let text: Text = try JSONLine.decode(line, as: "reply")
        if let status = text.status {
            self = .status(status)
        } else if let progress = text.progress {
            self = .progress(progress)
        } else if let bytes = text.doneBytes {
            self = .done(bytes: bytes)
        } else if let failure = text.failed {
            self = .failed(failure)
        } else {
            throw ControlFailure(.failed, "the mount process gave an empty reply")
        }
    }
}

/// One JSON value on one line.
private enum JSONLine {
    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Rates are quotients; one that divided by zero must not end the process.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf",
            negativeInfinity: "-inf",
            nan: "nan"
        )
        guard let data = try? encoder.encode(value) else {
            preconditionFailure("numbers, strings and arrays of them can be written as JSON")
        }
        return Array(data)
    }

    static func decode<Value: Decodable>(
        _ line: [UInt8],
        as what: String
    ) throws(ControlFailure) -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf",
            negativeInfinity: "-inf",
            nan: "nan"
        )
        do {
            return try decoder.decode(Value.self, from: Data(line))
        } catch {
            throw ControlFailure(
                .failed,
                "the control socket carried a malformed \(what); both ends must be the same"
                    + " version of mefs"
            )
        }
    }
}
