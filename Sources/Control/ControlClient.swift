import Disk
import Glibc

/// Asks a mount process.
///
/// Blocks; one request at a time.
package final class ControlClient {
    /// A status is made from counters in memory.
    private static let statusTimeout = Duration.seconds(15)
    /// Between two signs of life of a long request; a process that ends is noticed at once.
    private static let workTimeout = Duration.seconds(600)

    package let path: String
    private let descriptor: Descriptor
    private let socket: LineSocket

    /// Connects to the mount process whose control socket is at `path`.
    package init(path: String) throws(ControlFailure) {
        self.path = path
        do throws(DiskError) {
            descriptor = try UnixSocket.connect(to: path)
        } catch {
            switch error.errno {
            case ENOENT, ECONNREFUSED:
                throw ControlFailure(
                    .notFound,
                    "no mount process answers at \(path); is the volume mounted?"
                )
            default:
                throw ControlFailure(error)
            }
        }
        socket = LineSocket(descriptor)
    }

    /// Connects to the mount process of the volume that holds `file`, a path below or at its mount
    /// point.
    package convenience init(mountHolding file: String) throws(ControlFailure) {
        try self.init(path: try MountLocator.controlSocket(of: file))
    }

    /// What the volume is doing.
    package func status() throws(ControlFailure) -> VolumeStatus {
        let reply = try ask(.status, timeout: Self.statusTimeout) { _ in }
        guard case .status(let status) = reply else { throw Self.unexpected }
        return status
    }

    /// Returns when everything that was written is placed.
    package func sync(progress: (SyncProgress) -> Void = { _ in }) throws(ControlFailure) {
        _ = try bytes(.sync, progress)
    }

    /// Evicts all clean data; gives the bytes evicted.
    package func dropCache() throws(ControlFailure) -> UInt64 {
        try bytes(.dropCache) { _ in }
    }

    /// Has the mount process place what is dirty, for at most `drainSeconds`, and unmount.
    ///
    /// - Returns: the bytes that remain dirty, on the local disk.
    package func stop(
        drainSeconds: Double,
        progress: (SyncProgress) -> Void = { _ in }
    ) throws(ControlFailure) -> UInt64 {
        try bytes(.stop(drainSeconds: drainSeconds), progress)
    }

    /// Challenges every provider of the volume; `report` is called as they answer.
    package func auditNow(
        leaves: Int? = nil,
        report: (AuditResult) -> Void = { _ in }
    ) throws(ControlFailure) -> [AuditResult] {
        let reply = try ask(.auditNow(leaves: leaves), timeout: Self.workTimeout) { step in
            if case .audit(let result) = step { report(result) }
        }
        guard case .audited(let results) = reply else { throw Self.unexpected }
        return results
    }

    /// The newest receipts, at most `limit`, the newest last; `provider` is the beginning of an id.
    package func auditLog(
        limit: Int,
        provider: String? = nil
    ) throws(ControlFailure) -> [AuditRecord] {
        let request = ControlRequest.auditLog(limit: limit, provider: provider)
        let reply = try ask(request, timeout: Self.workTimeout) { _ in }
        guard case .receipts(let receipts) = reply else { throw Self.unexpected }
        return receipts
    }

    /// Receipts as files that anybody can check, one for each order.
    package func auditExport(provider: String? = nil) throws(ControlFailure) -> [AuditFile] {
        var files: [AuditFile] = []
        let reply = try ask(.auditExport(provider: provider), timeout: Self.workTimeout) { step in
            if case .file(let file) = step { files.append(file) }
        }
        guard case .done = reply else { throw Self.unexpected }
        return files
    }

    /// The snapshots of the volume, oldest first.
    package func snapshots() throws(ControlFailure) -> [SnapshotRecord] {
        let reply = try ask(.snapshotList, timeout: Self.workTimeout) { _ in }
        guard case .snapshots(let snapshots) = reply else { throw Self.unexpected }
        return snapshots
    }

    /// Has everything that was written placed and kept as a snapshot; `name` may be empty.
    ///
    /// `lock`: how long nobody can delete it, such as "30d"; `nil` for what the rules say.
    package func createSnapshot(
        name: String,
        lock: String? = nil
    ) throws(ControlFailure) -> SnapshotRecord {
        let reply = try ask(
            .snapshotCreate(name: name, lock: lock),
            timeout: Self.workTimeout
        ) { _ in }
        guard case .snapshots(let made) = reply, let snapshot = made.first else {
            throw Self.unexpected
        }
        return snapshot
    }

    /// Lets go of a snapshot, named by time, name or version.
    package func deleteSnapshot(_ which: String) throws(ControlFailure) {
        _ = try bytes(.snapshotDelete(which)) { _ in }
    }

    /// Changes which snapshots are kept without being asked for; gives what holds then.
    package func changeSnapshotRules(
        _ change: SnapshotRules.Change
    ) throws(ControlFailure) -> SnapshotRules {
        let reply = try ask(.snapshotPolicy(change), timeout: Self.workTimeout) { _ in }
        guard case .snapshotRules(let rules) = reply else { throw Self.unexpected }
        return rules
    }

    /// What is kept at providers and why; unless it is a dry run, after what nothing needs was
    /// given back.
    package func collectGarbage(isDryRun: Bool) throws(ControlFailure) -> GarbageReport {
        let request = ControlRequest.collectGarbage(isDryRun: isDryRun)
        guard case .garbage(let report) = try ask(request, timeout: Self.workTimeout, { _ in })
        else { throw Self.unexpected }
        return report
    }

    /// Makes a clone; `report` is called now and then.
    package func clone(
        _ request: CloneRequest,
        report: (CloneReport) -> Void = { _ in }
    ) throws(ControlFailure) -> CloneReport {
        let reply = try ask(.clone(request), timeout: Self.workTimeout) { step in
            if case .cloning(let step) = step { report(step) }
        }
        guard case .cloned(let outcome) = reply else { throw Self.unexpected }
        return outcome
    }

    /// Waits until the mount process has closed its end, as it does at its end.
    ///
    /// - Returns: whether it did within `timeout`.
    package func waitForEnd(_ timeout: Duration) -> Bool {
        UnixSocket.limitWaiting(descriptor, to: timeout)
        do throws(DiskError) {
            return try socket.readLine(bytesMax: ControlReply.lineBytesMax) == nil
        } catch {
            return error.errno == ECONNRESET
        }
    }

    private func bytes(
        _ request: ControlRequest,
        _ progress: (SyncProgress) -> Void
    ) throws(ControlFailure) -> UInt64 {
        let reply = try ask(request, timeout: Self.workTimeout) { step in
            if case .progress(let step) = step { progress(step) }
        }
        guard case .done(let bytes) = reply else { throw Self.unexpected }
        return bytes
    }

    /// Sends the request and waits for its last reply; `step` gets those before it.
    private func ask(
        _ request: ControlRequest,
        timeout: Duration,
        _ step: (ControlReply) -> Void
    ) throws(ControlFailure) -> ControlReply {
        UnixSocket.limitWaiting(descriptor, to: timeout)
        do throws(DiskError) {
            try socket.writeLine(request.encoded())
        } catch {
            throw failure(error, timeout)
        }
        while true {
            let line: [UInt8]?
            do throws(DiskError) {
                line = try socket.readLine(bytesMax: ControlReply.lineBytesMax)
            } catch {
                throw failure(error, timeout)
            }
            guard let line else { throw ended }
            let reply = try ControlReply(parsing: line)
            switch reply {
            case .progress, .audit, .file, .cloning: step(reply)
            case .failed(let failure): throw failure
            case .status, .done, .audited, .receipts, .snapshots, .snapshotRules, .garbage, .cloned:
                return reply
            }
        }
    }

    private func failure(_ error: DiskError, _ timeout: Duration) -> ControlFailure {
        switch error.errno {
        case EPIPE, ECONNRESET: ended
        case EAGAIN:
            ControlFailure(
                .failed,
                "the mount process at \(path) has not answered for \(timeout)"
            )
        default: ControlFailure(error)
        }
    }

    private var ended: ControlFailure {
        ControlFailure(.failed, "the mount process at \(path) ended before it answered")
    }

    private static var unexpected: ControlFailure {
        ControlFailure(.failed, "the mount process answered something else than was asked")
    }
}
