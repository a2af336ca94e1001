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
    /// Challenge every provider of the volume now; `nil` leaves as many leaves as a doubtful one
    /// is asked for.
    case auditNow(leaves: Int?)
    /// The newest receipts, of one provider if it is named by the beginning of its id.
    case auditLog(limit: Int, provider: String?)
    /// Receipts as files that anybody can check.
    case auditExport(provider: String?)
    /// The snapshots of the volume.
    case snapshotList
    /// Place everything written so far and keep it as a snapshot; `name` may be empty, and `lock`,
    /// such as "30d", takes the place of what the rules say.
    case snapshotCreate(name: String, lock: String? = nil)
    /// Let go of a snapshot, named by time, name or version.
    case snapshotDelete(String)
    /// Say which snapshots are kept without being asked for, after changing what is given.
    case snapshotPolicy(SnapshotRules.Change)
    /// Say what is kept at providers and why; unless it is a dry run, after giving back what
    /// nothing needs.
    case collectGarbage(isDryRun: Bool)
    /// Make a file or tree that shares the places of its bytes with another.
    case clone(CloneRequest)
}

/// What a mount process answers.
///
/// `progress` comes any number of times before one of the others.
package enum ControlReply: Hashable, Sendable {
    case status(VolumeStatus)
    case progress(SyncProgress)
    /// Done; `bytes` were evicted by `dropCache`, or remain dirty after `stop`, or are in the files
    /// that came before.
    case done(bytes: UInt64)
    /// One provider has answered; comes any number of times before `audited`.
    case audit(AuditResult)
    /// What all providers have answered.
    case audited([AuditResult])
    /// Receipts, the newest last.
    case receipts([AuditRecord])
    /// One file of receipts; comes any number of times before `done`.
    case file(AuditFile)
    /// Snapshots, the oldest first; after `snapshotCreate` the one that was made.
    case snapshots([SnapshotRecord])
    /// Which snapshots are kept.
    case snapshotRules(SnapshotRules)
    /// What is kept at providers.
    case garbage(GarbageReport)
    /// How far a clone is; comes any number of times before `cloned`.
    case cloning(CloneReport)
    /// What was cloned.
    case cloned(CloneReport)
    case failed(ControlFailure)
}

// The forms on the wire are structs of their own: an enum's synthesized JSON would tie the format
// to Swift's habits.

extension ControlRequest {
    /// The longest request, in bytes.
    static let lineBytesMax = 64 << 10
    /// The longest drain that can be asked for: a week, which is for ever.
    static let drainSecondsMax = 7 * 86_400.0
    /// The most leaves that one challenge may ask for, as docs/proofs.md has it.
    package static let leavesMax = 2048
    /// The most receipts in one reply: with the longest reasons some 7 MiB.
    package static let receiptsMax = 8192
    /// An id of 32 bytes in hexadecimal.
    private static let providerLengthMax = 64

    private struct Text: Codable {
        var request: String
        var drainSeconds: Double?
        var leaves: Int?
        var limit: Int?
        var provider: String?
        var name: String?
        var snapshot: String?
        var keep: String?
        var lock: String?
        var dryRun: Bool?
        var clone: CloneRequest?
    }

    /// One line without its end.
    package func encoded() -> [UInt8] {
        let text =
            switch self {
            case .status: Text(request: "status")
            case .sync: Text(request: "sync")
            case .dropCache: Text(request: "drop-cache")
            case .stop(let seconds): Text(request: "stop", drainSeconds: seconds)
            case .auditNow(let leaves): Text(request: "audit-now", leaves: leaves)
            case .auditLog(let limit, let provider):
                Text(request: "audit-log", limit: limit, provider: provider)
            case .auditExport(let provider): Text(request: "audit-export", provider: provider)
            case .snapshotList: Text(request: "snapshot-list")
            case .snapshotCreate(let name, let lock):
                Text(request: "snapshot-create", name: name, lock: lock)
            case .snapshotDelete(let which): Text(request: "snapshot-delete", snapshot: which)
            case .snapshotPolicy(let change):
                Text(request: "snapshot-policy", keep: change.keep, lock: change.lock)
            case .collectGarbage(let isDryRun):
                Text(request: "collect-garbage", dryRun: isDryRun)
            case .clone(let clone): Text(request: "clone", clone: clone)
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
        case "audit-now":
            guard text.leaves.map((1...Self.leavesMax).contains) ?? true else {
                throw ControlFailure(.usage, "an audit takes 1 to \(Self.leavesMax) leaves")
            }
            self = .auditNow(leaves: text.leaves)
        case "audit-log":
            let limit = text.limit ?? Self.receiptsMax
            guard limit > 0 else {
                throw ControlFailure(.usage, "at least one receipt must be asked for")
            }
            self = .auditLog(
                limit: min(limit, Self.receiptsMax),
                provider: try Self.checked(text.provider)
            )
        case "audit-export":
            self = .auditExport(provider: try Self.checked(text.provider))
        case "snapshot-list": self = .snapshotList
        case "snapshot-create":
            self = .snapshotCreate(name: text.name ?? "", lock: text.lock)
        case "snapshot-delete":
            guard let which = text.snapshot, !which.isEmpty else {
                throw ControlFailure(.usage, "which snapshot is to be deleted must be said")
            }
            self = .snapshotDelete(which)
        case "snapshot-policy":
            self = .snapshotPolicy(SnapshotRules.Change(keep: text.keep, lock: text.lock))
        case "collect-garbage": self = .collectGarbage(isDryRun: text.dryRun ?? true)
        case "clone":
            guard let clone = text.clone else {
                throw ControlFailure(.usage, "what is to be cloned must be said")
            }
            self = .clone(clone)
        default:
            throw ControlFailure(
                .usage,
                "the mount process does not know the request '\(text.request)'"
            )
        }
    }

    /// The beginning of a provider's id.
    private static func checked(_ provider: String?) throws(ControlFailure) -> String? {
        guard let provider else { return nil }
        let digits = provider.lowercased()
        guard (1...providerLengthMax).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else {
            throw ControlFailure(
                .usage,
                "a provider is named by the first hexadecimal digits of its id"
            )
        }
        return digits
    }
}

extension ControlReply {
    /// The longest reply, in bytes: a status with 8,192 providers fits, and so does the file of an
    /// order with the receipts of two years of hours.
    package static let lineBytesMax = 32 << 20

    private struct Text: Codable {
        var status: VolumeStatus?
        var progress: SyncProgress?
        var doneBytes: UInt64?
        var failed: ControlFailure?
        var audit: AuditResult?
        var audits: [AuditResult]?
        var receipts: [AuditRecord]?
        var file: AuditFile?
        var snapshots: [SnapshotRecord]?
        var snapshotRules: SnapshotRules?
        var garbage: GarbageReport?
        var cloning: CloneReport?
        var cloned: CloneReport?
    }

    /// One line without its end.
    package func encoded() -> [UInt8] {
        var text = Text()
        switch self {
        case .status(let status): text.status = status
        case .progress(let progress): text.progress = progress
        case .done(let bytes): text.doneBytes = bytes
        case .failed(let failure): text.failed = failure
        case .audit(let result): text.audit = result
        case .audited(let results): text.audits = results
        case .receipts(let receipts): text.receipts = receipts
        case .file(let file): text.file = file
        case .snapshots(let snapshots): text.snapshots = snapshots
        case .snapshotRules(let rules): text.snapshotRules = rules
        case .garbage(let report): text.garbage = report
        case .cloning(let report): text.cloning = report
        case .cloned(let report): text.cloned = report
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
        } else if let result = text.audit {
            self = .audit(result)
        } else if let results = text.audits {
            self = .audited(results)
        } else if let receipts = text.receipts {
            self = .receipts(receipts)
        } else if let file = text.file {
            self = .file(file)
        } else if let snapshots = text.snapshots {
            self = .snapshots(snapshots)
        } else if let rules = text.snapshotRules {
            self = .snapshotRules(rules)
        } else if let report = text.garbage {
            self = .garbage(report)
        } else if let report = text.cloning {
            self = .cloning(report)
        } else if let report = text.cloned {
            self = .cloned(report)
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
