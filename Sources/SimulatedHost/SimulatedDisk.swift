import Disk
import Glibc
import Primitives
import Synchronization

/// A disk in memory, with one filesystem, that promises no more than POSIX does.
///
/// Programs see every change at once. A power cut leaves what was synced, and of the rest what the
/// seed says: see `DiskDurability`. A sync of a file does not cover its name; that of a directory
/// covers its entries and nothing below.
package final class SimulatedDisk: Sendable {
    struct State {
        let root = DirectoryNode()
        var capacityBytes: UInt64
        var usedBytes: UInt64 = 0
        var generator: SeededGenerator
        /// Counts changes; each has its number.
        var order: UInt64 = 0
        /// The number of the last change that a sync of anything covered.
        var syncedOrder: UInt64 = 0
        var filesMade: UInt64 = 0
        var mutations = 0
        var crash: (countdown: Int, kind: CrashKind)?
        var faults: [DiskFault] = []
        var durability = DiskDurability.posix
        var ignoredSyncs: String?
    }

    let name: String
    let scheduler: Scheduler
    let state: Mutex<State>

    init(_ name: String, capacityBytes: UInt64, seed: UInt64, scheduler: Scheduler) {
        self.name = name
        self.scheduler = scheduler
        state = Mutex(
            State(capacityBytes: capacityBytes, generator: SeededGenerator(seed: seed))
        )
    }

    // MARK: Orders of the harness

    /// Calls that changed the disk, or would have.
    package var mutations: Int { state.withLock { $0.mutations } }

    package var durability: DiskDurability {
        get { state.withLock { $0.durability } }
        set { state.withLock { $0.durability = newValue } }
    }

    /// What fits on it; less than is there: nothing more does.
    package var capacityBytes: UInt64 {
        get { state.withLock { $0.capacityBytes } }
        set { state.withLock { $0.capacityBytes = newValue } }
    }

    package var usedBytes: UInt64 { state.withLock { $0.usedBytes } }

    /// Lets `times` calls fail with `errno`, the first of them the `count`-th from now whose path
    /// contains `path`.
    ///
    /// A failed sync drops what was dirty and calls it clean, as Linux does.
    package func fail(
        _ call: DiskCall,
        after count: Int = 1,
        times: Int = 1,
        path: String = "",
        errno: Int32 = EIO
    ) {
        let fault = DiskFault(
            call: call,
            path: path,
            countdown: count,
            times: times,
            errno: errno
        )
        state.withLock { $0.faults.append(fault) }
    }

    /// No more failures.
    package func clearFaults() { state.withLock { $0.faults = [] } }

    /// Turns one bit of a file at rest.
    package func flipBit(_ path: String, at offset: UInt64, bit: UInt8) {
        guard case .file(let file)? = find(path) else { return }
        state.withLock { _ in file.flipBit(at: offset, bit: bit) }
    }

    /// For tests of the harness itself: syncs of paths that contain `part` say done and do nothing.
    package func ignoreSyncs(of part: String?) { state.withLock { $0.ignoredSyncs = part } }

    /// What a file holds as programs see it, or as the disk has it; `nil` if there is no file.
    package func contents(_ path: String, durably: Bool = false) -> [UInt8]? {
        guard case .file(let file)? = find(path) else { return nil }
        return state.withLock { _ in file.bytes(durably: durably) }
    }

    /// Paths of all files, sorted.
    package var files: [String] {
        state.withLock { state in
            var paths: [String] = []
            func walk(_ directory: DirectoryNode, _ path: String) {
                for name in directory.sortedNames {
                    switch directory.names[name] {
                    case .directory(let inner)?: walk(inner, path + "/" + name)
                    case .file?: paths.append(path + "/" + name)
                    case nil: continue
                    }
                }
            }
            walk(state.root, "")
            return paths
        }
    }

    private func find(_ path: String) -> DiskNode? {
        state.withLock { $0.find(SimulatedDisk.parts(path)) }
    }

    func crash(after operations: Int, _ kind: CrashKind) {
        precondition(operations >= 1, "the next call is the first")
        state.withLock { $0.crash = (operations, kind) }
    }

    func cancelCrash() { state.withLock { $0.crash = nil } }

    /// No process has files open any more.
    func forgetOpenFiles() { state.withLock { $0.recount() } }

    func losePower() { state.withLock { $0.losePower() } }

    // MARK: Calls

    /// Refuses calls of a process that is gone, and those that are made to fail.
    static func admit(
        _ call: DiskCall,
        _ operation: String,
        _ path: String,
        _ state: inout State,
        _ life: ProcessLife
    ) throws(DiskError) {
        guard !life.isOver else {
            throw DiskError("\(operation), the process being gone,", path, errno: EIO)
        }
        if let errno = state.fault(call, path) {
            throw DiskError(operation, path, errno: errno)
        }
    }

    /// One call that changes the disk.
    ///
    /// `body` is told whether the crash comes in the middle of it: then it does a part. It runs
    /// under the disk's lock.
    func mutate<Result: Sendable>(
        _ call: DiskCall,
        _ operation: String,
        _ path: String,
        _ life: ProcessLife,
        _ number: UInt64 = 0,
        _ body: (inout State, _ isTorn: Bool) throws(DiskError) -> Result
    ) throws(DiskError) -> Result {
        if call == .sync {
            scheduler.pass(least: 50_000, most: 6_000_000)
        } else {
            scheduler.pass(least: 2_000, most: 60_000)
        }
        scheduler.record(operation, path, number, UInt64(life.number))
        return try state.withLock { state throws(DiskError) in
            try Self.admit(call, operation, path, &state, life)
            state.mutations += 1
            state.order += 1
            guard let kind = state.crashNow() else { return try body(&state, false) }
            scheduler.record("crash", kind.rawValue, UInt64(state.mutations), 0)
            switch state.generator.next() % 4 {
            case 0: break
            case 1, 2: _ = try? body(&state, true)
            default: _ = try? body(&state, false)
            }
            life.end(kind)
            if kind == .powerCut { state.losePower() }
            throw DiskError("\(operation), the process being gone,", path, errno: EIO)
        }
    }

    /// One call that changes nothing.
    func look<Result: Sendable>(
        _ path: String,
        _ life: ProcessLife,
        _ body: () -> Result
    ) throws(DiskError) -> Result {
        scheduler.pass(least: 500, most: 4_000)
        return try state.withLock { state throws(DiskError) in
            try Self.admit(.open, "look at", path, &state, life)
            return body()
        }
    }

    func isNotEmpty(_ file: FileNode) -> Bool { state.withLock { _ in file.size > 0 } }

    /// The parts of a path; "." is none, ".." takes one away.
    static func parts(_ path: String) -> [String] {
        var parts: [String] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(String(part)) }
        }
        return parts
    }
}

extension SimulatedDisk.State {
    /// Whether the crash that was ordered is due at this change.
    fileprivate mutating func crashNow() -> CrashKind? {
        guard let ordered = crash else { return nil }
        guard ordered.countdown <= 1 else {
            crash = (ordered.countdown - 1, ordered.kind)
            return nil
        }
        crash = nil
        return ordered.kind
    }

    /// The error that this call is made to fail with.
    fileprivate mutating func fault(_ call: DiskCall, _ path: String) -> Int32? {
        var errno: Int32?
        for index in faults.indices where faults[index].call == call {
            let part = faults[index].path
            guard part.isEmpty || path.contains(part) else { continue }
            faults[index].countdown -= 1
            if faults[index].countdown <= 0 {
                faults[index].times -= 1
                errno = faults[index].errno
            }
        }
        faults.removeAll { $0.times <= 0 }
        return errno
    }

    func find(_ parts: [String]) -> DiskNode? {
        var node = DiskNode.directory(root)
        for part in parts {
            guard case .directory(let directory) = node, let next = directory.names[part] else {
                return nil
            }
            node = next
        }
        return node
    }
}
