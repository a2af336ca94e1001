import Control
import Disk
import Glibc
import Primitives
import Synchronization
import Testing

/// A mount process that makes up its answers.
private final class FakeMount: ControlHandler {
    let stopSeconds = Mutex<Double?>(nil)

    func status() throws(ControlFailure) -> VolumeStatus {
        var status = VolumeStatus(volume: "home", mountpoint: "/mnt/a\nb", pid: 7)
        status.dirtyBytes = .max
        status.uploadBytesPerSecond = .nan
        status.providers = [
            VolumeStatus.Provider(
                id: "ab",
                address: "[::1]:1",
                domain: "d",
                up: true,
                usedBytes: 1,
                capacityBytes: 2
            )
        ]
        return status
    }

    func sync(progress: (SyncProgress) -> Void) throws(ControlFailure) {
        for remaining in [UInt64(20), 10, 0] {
            progress(SyncProgress(remainingBytes: remaining, totalBytes: 20))
        }
    }

    func dropCache() throws(ControlFailure) -> UInt64 {
        throw ControlFailure(.diskFull, "the disk is full: make room")
    }

    func collectGarbage(isDryRun: Bool) throws(ControlFailure) -> GarbageReport {
        GarbageReport(
            liveBytes: isDryRun ? 1 : 2,
            neededBytes: 3,
            snapshotBytes: 4,
            snapshotStripes: 5,
            waitingBytes: 6,
            waitingStripes: 7,
            deadShards: 8,
            sparseStripes: 9,
            sparseBytes: .max
        )
    }

    func clone(
        _ request: CloneRequest,
        report: (CloneReport) -> Bool
    ) throws(ControlFailure) -> CloneReport {
        guard request.owner == nil else { throw ControlFailure(.already, "it exists") }
        var made = CloneReport()
        made.placingBytes = request.source
        guard report(made) else { throw ControlFailure(.failed, "nobody listens") }
        made.placingBytes = 0
        made.files = request.parent
        made.bytes = UInt64(request.name.count)
        made.failed = 1
        made.failures = [CloneReport.Failure(path: "c/x", reason: "gone")]
        return made
    }

    func stop(
        drainSeconds: Double,
        progress: (SyncProgress) -> Void
    ) throws(ControlFailure) -> UInt64 {
        stopSeconds.withLock { $0 = drainSeconds }
        return 5
    }

    func auditNow(
        leaves: Int?,
        report: (AuditResult) -> Void
    ) throws(ControlFailure) -> [AuditResult] {
        let results = ["ab", "cd"].map { id in
            AuditResult(
                provider: id,
                verdict: "ok",
                reason: "",
                leaves: UInt64(leaves ?? 460),
                bytes: 9,
                milliseconds: 1.5
            )
        }
        for result in results { report(result) }
        return results
    }

    func auditLog(limit: Int, provider: String?) throws(ControlFailure) -> [AuditRecord] {
        (0..<min(UInt64(limit), 3)).map { sample(number: $0, provider: provider ?? "ab") }
    }

    func auditExport(
        provider: String?,
        each: (AuditFile) -> Void
    ) throws(ControlFailure) {
        each(AuditFile(order: "1", provider: "ab", json: "{\n}"))
        each(AuditFile(order: "2", provider: "cd", json: "[]"))
        if provider == "cd" {
            let long = String(repeating: "x", count: ControlReply.lineBytesMax)
            each(AuditFile(order: "3", provider: "cd", json: long))
        }
    }
}

extension FakeMount {
    func snapshots() throws(ControlFailure) -> [SnapshotRecord] {
        [
            SnapshotRecord(
                version: .max,
                time: "2026-11-23T07:14:52Z",
                name: "",
                directory: "2026-11-23T07-14-52Z",
                lockedUntil: "2026-12-23T07:14:52Z"
            )
        ]
    }

    func createSnapshot(
        name: String,
        lock: String?
    ) throws(ControlFailure) -> SnapshotRecord {
        SnapshotRecord(version: 1, time: "t", name: name, directory: "d", lockedUntil: nil)
    }

    func deleteSnapshot(_ which: String) throws(ControlFailure) {
        guard which == "before" else { throw ControlFailure(.notFound, "no '\(which)'") }
    }

    func changeSnapshotRules(
        _ change: SnapshotRules.Change
    ) throws(ControlFailure) -> SnapshotRules {
        SnapshotRules(keep: change.keep ?? "none", lock: change.lock ?? "none")
    }
}

private func sample(number: UInt64, provider: String = "ab") -> AuditRecord {
    AuditRecord(
        order: "01",
        provider: provider,
        number: number,
        epoch: .max,
        at: "2026-11-22T18:05:09Z",
        verdict: "missing",
        reason: "leaf 3 of shard 01 is missing",
        leaves: 32,
        provedByteSeconds: 1e20
    )
}

private func withServer(
    named name: String = "control.sock",
    _ body: (String, FakeMount, ControlServer) throws -> Void
) throws {
    let directory = "/tmp/mefs-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try Directory.make(directory, durably: false)
    defer { try? Directory.remove(tree: directory) }
    let path = directory + "/" + name
    try Directory.make(Directory.parent(of: path), durably: false)
    let mount = FakeMount()
    let server = try ControlServer(path: path, handler: mount)
    defer { server.stop() }
    try body(path, mount, server)
}

struct ControlSocketTests {
    @Test func snapshotsAreListedMadeDeletedAndRuled() throws {
        try withServer { path, mount, _ in
            let client = try ControlClient(path: path)
            #expect(try client.snapshots() == mount.snapshots())
            let made = try client.createSnapshot(name: "before")
            #expect(made.name == "before" && made.lockedUntil == nil)
            try client.deleteSnapshot("before")
            #expect(throws: ControlFailure(.notFound, "no 'x'")) { try client.deleteSnapshot("x") }
            #expect(
                throws: ControlFailure(
                    .usage,
                    "which snapshot is to be deleted must be said"
                )
            ) { try client.deleteSnapshot("") }
            let rules = try client.changeSnapshotRules(SnapshotRules.Change(keep: "7d"))
            #expect(rules == SnapshotRules(keep: "7d", lock: "none"))
        }
    }

    @Test func everyRequestIsAnswered() throws {
        try withServer { path, mount, _ in
            let client = try ControlClient(path: path)
            let status = try client.status()
            #expect(status.dirtyBytes == .max)
            #expect(status.uploadBytesPerSecond.isNaN)
            #expect(status.mountpoint == "/mnt/a\nb")
            #expect(status.providers.first?.address == "[::1]:1")
            var steps: [UInt64] = []
            try client.sync { steps.append($0.remainingBytes) }
            #expect(steps == [20, 10, 0])
            #expect(try client.stop(drainSeconds: 2.5) == 5)
            #expect(mount.stopSeconds.withLock { $0 } == 2.5)
        }
    }

    @Test func auditsAreToldAsTheyComeAndAtTheEnd() throws {
        try withServer { path, _, _ in
            let client = try ControlClient(path: path)
            var told: [String] = []
            let results = try client.auditNow(leaves: 32) { told.append($0.provider) }
            #expect(told == ["ab", "cd"])
            #expect(results.map(\.provider) == told && results.allSatisfy { $0.leaves == 32 })
            #expect(try client.auditNow().first?.leaves == 460)
            #expect(try client.auditLog(limit: 2).map(\.number) == [0, 1])
            #expect(try client.auditLog(limit: 9, provider: "CD").first?.provider == "cd")
        }
    }

    @Test func filesOfReceiptsComeOneByOneAndTooLongOnesFail() throws {
        try withServer { path, _, _ in
            let client = try ControlClient(path: path)
            #expect(try client.auditExport().map(\.json) == ["{\n}", "[]"])
            #expect(throws: ControlFailure.self) { try client.auditExport(provider: "cd") }
            #expect(throws: ControlFailure.self) { try client.auditExport(provider: "no id") }
            // The connection is still good.
            #expect(try client.auditExport(provider: "ab").count == 2)
        }
    }

    @Test func whatIsKeptAtProvidersIsTold() throws {
        try withServer { path, _, _ in
            let client = try ControlClient(path: path)
            #expect(try client.collectGarbage(isDryRun: true).liveBytes == 1)
            let report = try client.collectGarbage(isDryRun: false)
            #expect(report.liveBytes == 2 && report.sparseBytes == .max)
        }
    }

    @Test func cloneGivesItsProgressAndItsReport() throws {
        try withServer { path, _, _ in
            let client = try ControlClient(path: path)
            let name: [UInt8] = [0xff, 0x0a, 0x41]
            var steps: [UInt64] = []
            let request = CloneRequest(source: 5 << 48, parent: 3, name: name, owner: nil)
            let report = try client.clone(request) { steps.append($0.placingBytes) }
            #expect(steps == [5 << 48])
            #expect(report.files == 3 && report.bytes == 3 && report.failed == 1)
            #expect(report.failures == [CloneReport.Failure(path: "c/x", reason: "gone")])
            let owner = CloneRequest.Owner(uid: 1, gid: 2)
            let other = CloneRequest(source: 1, parent: 1, name: name, owner: owner)
            let failure = #expect(throws: ControlFailure.self) { try client.clone(other) }
            #expect(failure?.code == .already)
        }
    }

    @Test func failureKeepsItsCodeAndMessage() throws {
        try withServer { path, _, _ in
            let client = try ControlClient(path: path)
            let failure = #expect(throws: ControlFailure.self) { try client.dropCache() }
            #expect(failure == ControlFailure(.diskFull, "the disk is full: make room"))
            // The connection is still good.
            #expect(try client.status().volume == "home")
        }
    }

    @Test func longPathsWork() throws {
        let name = (0..<4).map { _ in String(repeating: "long", count: 20) }.joined(separator: "/")
        try withServer(named: name + "/control.sock") { path, _, _ in
            #expect(path.utf8.count > 300)
            let status = try ControlClient(path: path).status()
            #expect(status.pid == 7)
        }
    }

    @Test func socketIsGoneAfterTheEndAndClientsNotice() throws {
        try withServer { path, _, server in
            let client = try ControlClient(path: path)
            _ = try client.status()
            server.stop()
            #expect(client.waitForEnd(.seconds(30)))
            #expect(!WholeFile.exists(path))
            let failure = #expect(throws: ControlFailure.self) { try ControlClient(path: path) }
            #expect(failure?.code == .notFound)
        }
    }

    @Test func socketOfADeadProcessIsReplaced() throws {
        try withServer { path, _, _ in
            // As if the first had died without removing it.
            let second = try ControlServer(path: path, handler: FakeMount())
            let status = try ControlClient(path: path).status()
            #expect(status.volume == "home")
            second.stop()
        }
    }

    @Test func tooManyConnectionsAreRefusedAndOthersGoOn() throws {
        try withServer { path, _, _ in
            var clients: [ControlClient] = []
            for _ in 0..<16 {
                let client = try ControlClient(path: path)
                _ = try client.status()
                clients.append(client)
            }
            #expect(throws: ControlFailure.self) { try ControlClient(path: path).status() }
            for client in clients { #expect(try client.status().pid == 7) }
        }
    }

    @Test(arguments: [
        "", "{}", "[1]", "{\"request\":\"fly\"}", "{\"request\":\"stop\",\"drainSeconds\":-1}",
        "{\"request\":\"stop\",\"drainSeconds\":1e300}", "{\"request\":",
        "{\"request\":\"audit-now\",\"leaves\":0}", "{\"request\":\"audit-now\",\"leaves\":2049}",
        "{\"request\":\"audit-log\",\"limit\":0}",
        "{\"request\":\"audit-log\",\"provider\":\"\"}",
        "{\"request\":\"audit-export\",\"provider\":\"%\"}",
    ])
    func malformedRequestsThrow(line: String) {
        #expect(throws: ControlFailure.self) { try ControlRequest(parsing: Array(line.utf8)) }
    }

    @Test(arguments: [
        ControlRequest.status, .sync, .dropCache, .stop(drainSeconds: 0), .stop(drainSeconds: 90),
        .auditNow(leaves: nil), .auditNow(leaves: 2048), .auditLog(limit: 1, provider: nil),
        .auditLog(limit: ControlRequest.receiptsMax, provider: "ab01"),
        .auditExport(provider: nil), .auditExport(provider: "0"),
    ])
    func requestsSurviveTheWire(request: ControlRequest) throws {
        let line = request.encoded()
        #expect(try ControlRequest(parsing: line) == request)
        for count in 0..<line.count {
            #expect(throws: ControlFailure.self) {
                try ControlRequest(parsing: Array(line.prefix(count)))
            }
        }
    }

    @Test func repliesSurviveTheWireAndFlippedBitsNeverTrap() throws {
        let replies: [ControlReply] = [
            .done(bytes: .max), .progress(SyncProgress(remainingBytes: 1, totalBytes: 2)),
            .failed(ControlFailure(.corrupt, "a\nb")),
            .status(VolumeStatus(volume: "v", mountpoint: "/m", pid: 1)), .audited([]),
            .receipts([sample(number: 1)]), .file(AuditFile(order: "1", provider: "2", json: "{}")),
        ]
        for reply in replies {
            let line = reply.encoded()
            #expect(!line.contains(UInt8(ascii: "\n")))
            #expect(try ControlReply(parsing: line) == reply)
            for index in line.indices {
                for bit in 0..<8 {
                    var flipped = line
                    flipped[index] ^= 1 << bit
                    _ = try? ControlReply(parsing: flipped)
                }
            }
        }
    }

    @Test func formOnTheWireIsTheDocumentedOne() {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        #expect(text(ControlRequest.sync.encoded()) == #"{"request":"sync"}"#)
        #expect(
            text(ControlRequest.stop(drainSeconds: 60).encoded())
                == #"{"drainSeconds":60,"request":"stop"}"#
        )
        #expect(
            text(ControlRequest.auditLog(limit: 5, provider: "ab").encoded())
                == #"{"limit":5,"provider":"ab","request":"audit-log"}"#
        )
        #expect(
            text(ControlRequest.auditNow(leaves: 8).encoded())
                == #"{"leaves":8,"request":"audit-now"}"#
        )
        let file = AuditFile(order: "1", provider: "2", json: "{}")
        #expect(
            text(ControlReply.file(file).encoded())
                == #"{"file":{"json":"{}","order":"1","provider":"2"}}"#
        )
        #expect(text(ControlReply.done(bytes: 3).encoded()) == #"{"doneBytes":3}"#)
        #expect(
            text(
                ControlReply.progress(SyncProgress(remainingBytes: 1, totalBytes: 2)).encoded()
            )
                == #"{"progress":{"remainingBytes":1,"totalBytes":2}}"#
        )
        #expect(
            text(ControlReply.failed(ControlFailure(.wrongSecret, "no")).encoded())
                == #"{"failed":{"code":6,"message":"no"}}"#
        )
    }

    @Test func ordinaryDirectoriesAreNoMounts() {
        let failure = #expect(throws: ControlFailure.self) {
            try ControlClient(mountHolding: "/tmp")
        }
        #expect(
            failure
                == ControlFailure(
                    .notFound,
                    "/tmp is not in a mounted MEFS volume; mount it with mount.mefs"
                )
        )
        let missing = #expect(throws: ControlFailure.self) {
            try MountLocator.state(of: "/no/such/file")
        }
        #expect(missing == ControlFailure(.notFound, "/no/such/file does not exist"))
    }

    @Test(arguments: [
        "local", "placing 0/1", "placing 3/8", "placed", "proved 2026-11-22T18:05:09Z",
    ])
    func placementStateIsReadBack(text: String) {
        #expect(PlacementState(text)?.description == text)
    }

    @Test(arguments: [
        "", "placing", "placing 3", "placing 9/8", "placing -1/2", "placing 1/2/3",
        "proved", "proved now", "proved 2026-11-22",
    ])
    func otherTextIsNoPlacementState(text: String) {
        #expect(PlacementState(text) == nil)
    }

    @Test func whatIsProvedIsPlaced() {
        let proved = PlacementState("proved 2026-11-22T18:05:09Z")
        #expect(proved?.isPlaced == true && proved?.isProved == true)
        #expect(PlacementState.placed.isPlaced && !PlacementState.placed.isProved)
        #expect(!PlacementState.local.isPlaced)
    }

    @Test func exitCodesAreTheDocumentedOnes() {
        #expect(ExitCode.allCases.map(\.rawValue) == Array(0...9))
        #expect(ControlFailure(FileSystemError(.noSpace, "x")).code == .diskFull)
        #expect(ControlFailure(FileSystemError(.unavailable, "x")).code == .unreachable)
    }

    @Test func fractionStaysBetweenZeroAndOne() {
        #expect(SyncProgress(remainingBytes: 0, totalBytes: 0).fraction == 1)
        #expect(SyncProgress(remainingBytes: 5, totalBytes: 10).fraction == 0.5)
        #expect(SyncProgress(remainingBytes: 11, totalBytes: 10).fraction == 0)
    }
}
