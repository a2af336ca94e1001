package import Disk
import Glibc

/// What a mount process does when it is asked.
///
/// Called on threads of the server's; may block.
package protocol ControlHandler: Sendable {
    /// What the volume is doing.
    func status() throws(ControlFailure) -> VolumeStatus

    /// Places everything written so far.
    ///
    /// `progress` may be called at any pace; nobody may be listening any more.
    func sync(progress: (SyncProgress) -> Void) throws(ControlFailure)

    /// Tells what is kept at providers and why; unless it is a dry run, after giving back what
    /// nothing needs.
    func collectGarbage(isDryRun: Bool) throws(ControlFailure) -> GarbageReport

    /// Makes a clone; `report` answers whether anybody listens yet, and if not it is left as it is.
    func clone(
        _ request: CloneRequest,
        report: (CloneReport) -> Bool
    ) throws(ControlFailure) -> CloneReport

    /// Evicts all clean data from the cache; gives the bytes evicted.
    func dropCache() throws(ControlFailure) -> UInt64

    /// Places what is dirty, for at most `drainSeconds`, and begins to unmount.
    ///
    /// - Returns: the bytes that remain dirty, on the local disk.
    func stop(
        drainSeconds: Double,
        progress: (SyncProgress) -> Void
    ) throws(ControlFailure) -> UInt64

    /// Challenges every provider of the volume and gives what each has answered.
    ///
    /// `report` may be called as they answer, from one thread at a time.
    func auditNow(
        leaves: Int?,
        report: (AuditResult) -> Void
    ) throws(ControlFailure) -> [AuditResult]

    /// The newest receipts, at most `limit`, the newest last.
    ///
    /// `provider` is the beginning of an id in lower-case hexadecimal digits; `nil` for all.
    func auditLog(limit: Int, provider: String?) throws(ControlFailure) -> [AuditRecord]

    /// Gives the files of receipts one after the other.
    func auditExport(
        provider: String?,
        each: (AuditFile) -> Void
    ) throws(ControlFailure)

    /// The snapshots, oldest first.
    func snapshots() throws(ControlFailure) -> [SnapshotRecord]

    /// Places everything written so far and keeps it as a snapshot.
    ///
    /// `lock`: such as "30d"; `nil` for what the rules say.
    func createSnapshot(name: String, lock: String?) throws(ControlFailure) -> SnapshotRecord

    /// Lets go of a snapshot, named by time, name or version.
    func deleteSnapshot(_ which: String) throws(ControlFailure)

    /// Changes which snapshots are kept without being asked for; gives what holds then.
    func changeSnapshotRules(
        _ change: SnapshotRules.Change
    ) throws(ControlFailure) -> SnapshotRules
}

/// Answers `ControlClient`s on a unix socket: a thread for each connection, requests in order.
///
/// Only the user of this process and the superuser are answered.
package final class ControlServer: Sendable {
    /// Connections at once; status displays and helpers of one user, nothing more.
    private static let connectionsMax = 16
    /// A connection on which nothing moves for so long is closed.
    private static let idleTimeout = Duration.seconds(300)
    /// What `stop` lets replies under way take.
    private static let closingTimeout = Duration.seconds(2)
    /// Before accepting is tried again when the process is out of descriptors or memory.
    private static let acceptPause = Duration.milliseconds(100)

    private struct State {
        var connections: [ObjectIdentifier: Descriptor] = [:]
        /// Connections with a request that is being worked on.
        var busy = 0
        var isStopped = false
    }

    package let path: String
    private let handler: any ControlHandler
    private let listener: Descriptor
    private let state = Condition(State())

    /// Listens at `path`, replacing the socket that a dead process left there: whoever calls holds
    /// the volume's lock.
    package init(path: String, handler: any ControlHandler) throws(DiskError) {
        self.path = path
        self.handler = handler
        try WholeFile.remove(path)
        listener = try UnixSocket.listen(at: path, backlog: Int32(Self.connectionsMax))
        // The directory is the owner's alone; this is the second fence.
        chmod(path, 0o600)
        try Thread.spawn("control") { [self] in acceptAll() }
    }

    /// Takes no more connections, lets replies under way go out, and removes the socket.
    package func stop() {
        let isFirst = state.update { state in
            defer { state.isStopped = true }
            return !state.isStopped
        }
        guard isFirst else { return }
        try? WholeFile.remove(path)
        shutdown(listener.fd, Int32(SHUT_RDWR))
        _ = state.wait(for: Self.closingTimeout) { $0.busy == 0 ? true : nil }
        state.withLock { state in
            for connection in state.connections.values {
                shutdown(connection.fd, Int32(SHUT_RDWR))
            }
        }
    }

    private func acceptAll() {
        while !state.withLock({ $0.isStopped }) {
            do throws(DiskError) {
                guard let (connection, uid) = try UnixSocket.accept(from: listener) else { return }
                if uid == geteuid() || uid == 0 { begin(connection) }
            } catch {
                Clock.sleep(for: Self.acceptPause)
            }
        }
    }

    private func begin(_ connection: Descriptor) {
        UnixSocket.limitWaiting(connection, to: Self.idleTimeout)
        let id = ObjectIdentifier(connection)
        let isTaken = state.update { state in
            guard state.connections.count < Self.connectionsMax, !state.isStopped else {
                return false
            }
            state.connections[id] = connection
            return true
        }
        guard isTaken else {
            let failure = ControlFailure(.failed, "too many programs ask this mount; try later")
            try? LineSocket(connection).writeLine(ControlReply.failed(failure).encoded())
            return
        }
        let thread = try? Thread.spawn("control-conn") { [self] in
            answerAll(on: connection)
            end(id)
        }
        if thread == nil { end(id) }
    }

    private func end(_ id: ObjectIdentifier) {
        state.update { $0.connections[id] = nil }
    }

    private func answerAll(on connection: Descriptor) {
        let socket = LineSocket(connection)
        while let line = try? socket.readLine(bytesMax: ControlRequest.lineBytesMax) {
            state.update { $0.busy += 1 }
            defer { state.update { $0.busy -= 1 } }
            do throws(DiskError) {
                try socket.writeLine(reply(to: line, on: socket).encoded())
            } catch {
                return
            }
        }
    }

    /// Sends the files, each in a reply of its own; gives their bytes.
    private func export(
        _ provider: String?,
        on socket: LineSocket
    ) throws(ControlFailure) -> UInt64 {
        var bytes: UInt64 = 0
        var tooLong: AuditFile?
        try handler.auditExport(provider: provider) { file in
            let line = ControlReply.file(file).encoded()
            guard line.count <= ControlReply.lineBytesMax else {
                tooLong = file
                return
            }
            bytes += UInt64(file.json.utf8.count)
            _ = try? socket.writeLine(line)
        }
        if let tooLong {
            throw ControlFailure(
                .failed,
                "the receipts of order \(tooLong.order) are more than"
                    + " \(ControlReply.lineBytesMax >> 20) MiB"
            )
        }
        return bytes
    }

    private func reply(to line: [UInt8], on socket: LineSocket) -> ControlReply {
        // Whoever asked may be gone; the work goes on all the same.
        let progress = { (progress: SyncProgress) in
            _ = try? socket.writeLine(ControlReply.progress(progress).encoded())
        }
        do throws(ControlFailure) {
            switch try ControlRequest(parsing: line) {
            case .status:
                return .status(try handler.status())
            case .sync:
                try handler.sync(progress: progress)
                return .done(bytes: 0)
            case .dropCache:
                return .done(bytes: try handler.dropCache())
            case .stop(let seconds):
                return .done(bytes: try handler.stop(drainSeconds: seconds, progress: progress))
            case .auditNow(let leaves):
                let results = try handler.auditNow(leaves: leaves) { result in
                    _ = try? socket.writeLine(ControlReply.audit(result).encoded())
                }
                return .audited(results)
            case .auditLog(let limit, let provider):
                return .receipts(try handler.auditLog(limit: limit, provider: provider))
            case .auditExport(let provider):
                return .done(bytes: try export(provider, on: socket))
            case .snapshotList:
                return .snapshots(try handler.snapshots())
            case .snapshotCreate(let name, let lock):
                return .snapshots([try handler.createSnapshot(name: name, lock: lock)])
            case .snapshotDelete(let which):
                try handler.deleteSnapshot(which)
                return .done(bytes: 0)
            case .snapshotPolicy(let change):
                return .snapshotRules(try handler.changeSnapshotRules(change))
            case .collectGarbage(let isDryRun):
                return .garbage(try handler.collectGarbage(isDryRun: isDryRun))
            case .clone(let request):
                let report = try handler.clone(request) { report in
                    let line = ControlReply.cloning(report).encoded()
                    return (try? socket.writeLine(line)) != nil
                }
                return .cloned(report)
            }
        } catch {
            return .failed(error)
        }
    }
}
