import Control
import Mount
import Primitives
import Synchronization
import Testing
import Volume

/// Keeps snapshots in memory, one a second.
private final class FakeKeeper: SnapshotKeeping {
    private struct State {
        var snapshots: [SnapshotInfo] = []
        var policy = SnapshotPolicy.standard
        var policiesSet = 0
    }

    private let state = Mutex(State())
    var policiesSet: Int { state.withLock { $0.policiesSet } }

    func snapshots() throws(FileSystemError) -> [SnapshotInfo] { state.withLock { $0.snapshots } }

    func create(name: String, lockSeconds: Int64?) throws(FileSystemError) -> SnapshotInfo {
        state.withLock { state in
            let version = (state.snapshots.last?.version ?? 0) + 1
            let time = Timestamp(seconds: 1_795_418_092, nanoseconds: 0)
            let made = SnapshotInfo(
                version: version,
                time: time,
                name: name,
                lockedUntil: state.policy.lockedUntil(from: time)
            )
            state.snapshots.append(made)
            return made
        }
    }

    func delete(_ version: UInt64) throws(FileSystemError) {
        let isLocked = state.withLock { state in
            let isLocked = state.snapshots.first { $0.version == version }?.lockedUntil != nil
            if !isLocked { state.snapshots.removeAll { $0.version == version } }
            return isLocked
        }
        if isLocked { throw FileSystemError(.notPermitted, "locked") }
    }

    func policy() throws(FileSystemError) -> SnapshotPolicy { state.withLock { $0.policy } }

    func setPolicy(_ policy: SnapshotPolicy) throws(FileSystemError) {
        state.withLock { state in
            state.policy = policy
            state.policiesSet += 1
        }
    }
}

struct SnapshotControlTests {
    private func code(_ body: () throws -> Void) -> ExitCode? {
        do {
            try body()
            return nil
        } catch {
            return (error as? ControlFailure)?.code
        }
    }

    @Test func snapshotsAreMadeListedAndDeleted() throws {
        let changes = Atomic(0)
        let control = SnapshotControl(FakeKeeper()) { changes.add(1, ordering: .relaxed) }
        #expect(try control.list().isEmpty)
        let first = try control.create(name: "before")
        #expect(first.directory == "2026-11-23T07-14-52Z_before" && first.name == "before")
        #expect(first.time == "2026-11-23T07:14:52Z" && first.lockedUntil == nil)
        #expect(try control.create(name: "").directory == "2026-11-23T07-14-52Z")
        // Of the same second.
        #expect(try control.create(name: "").directory == "2026-11-23T07-14-52Z~3")
        #expect(code { _ = try control.create(name: "before") } == .already)
        #expect(code { _ = try control.create(name: "no/name") } == .usage)
        #expect(try control.list().map(\.version) == [1, 2, 3])
        #expect(changes.load(ordering: .relaxed) == 3)
        try control.delete("before")
        try control.delete("2026-11-23T07-14-52Z~3")
        #expect(code { try control.delete("before") } == .notFound)
        #expect(try control.list().map(\.version) == [2])
        #expect(changes.load(ordering: .relaxed) == 5)
    }

    @Test func rulesAreShownAndChanged() throws {
        let keeper = FakeKeeper()
        let control = SnapshotControl(keeper)
        let standard = SnapshotRules(keep: "24h,7d,4w,12m", lock: "none")
        #expect(try control.change(SnapshotRules.Change()) == standard)
        #expect(keeper.policiesSet == 0)
        let locked = try control.change(SnapshotRules.Change(lock: "30d"))
        #expect(locked == SnapshotRules(keep: standard.keep, lock: "30d"))
        let rules = try control.change(SnapshotRules.Change(keep: "2d"))
        #expect(rules == SnapshotRules(keep: "2d", lock: "30d"))
        #expect(code { _ = try control.change(SnapshotRules.Change(keep: "2y")) } == .usage)
        #expect(code { _ = try control.change(SnapshotRules.Change(lock: "2y")) } == .usage)
        #expect(keeper.policiesSet == 2)
        #expect(try control.create(name: "").lockedUntil == "2026-12-23T07:14:52Z")
        #expect(code { try control.delete("1") } == .failed)
    }
}
