import Control
import Home
import Primitives
import Volume

extension MountControl {
    func snapshots() throws(ControlFailure) -> [SnapshotRecord] {
        let keeping = try keeping()
        return try answering { () throws(FileSystemError) in
            try keeping.snapshots().directories.map { SnapshotRecord($0.snapshot, in: $0.name) }
        }
    }

    func createSnapshot(name: String) throws(ControlFailure) -> SnapshotRecord {
        guard name.isEmpty || SnapshotInfo.isName(name) else {
            throw ControlFailure(
                .usage,
                "'\(name)' is no name of a snapshot; take up to \(SnapshotInfo.nameBytesMax)"
                    + " letters, digits, '.', '_' or '-', a letter first"
            )
        }
        let keeping = try keeping()
        process.kernelMount.writeBack()
        return try answering { () throws(FileSystemError) in
            // Else the name would not say which is meant.
            let isTaken = try keeping.snapshots().contains { $0.name == name }
            guard name.isEmpty || !isTaken else {
                throw FileSystemError(.exists, "there is a snapshot '\(name)' already")
            }
            let made = try keeping.create(name: name)
            process.snapshots?.trees.noteChange()
            let listed = try keeping.snapshots().directories
            let directory = listed.first { $0.snapshot.version == made.version }?.name
            return SnapshotRecord(made, in: directory ?? made.directoryName)
        }
    }

    func deleteSnapshot(_ which: String) throws(ControlFailure) {
        let keeping = try keeping()
        try answering { () throws(FileSystemError) in
            try keeping.delete(try keeping.snapshots().named(which).version)
            process.snapshots?.trees.noteChange()
        }
    }

    func changeSnapshotRules(
        _ change: SnapshotRules.Change
    ) throws(ControlFailure) -> SnapshotRules {
        let keeping = try keeping()
        return try answering { () throws(FileSystemError) in
            var policy = try keeping.policy()
            if let keep = change.keep {
                let lock = policy.lockSeconds
                policy = try SnapshotPolicy(parsing: keep)
                policy.lockSeconds = lock
            }
            if let lock = change.lock {
                policy.lockSeconds = try SnapshotPolicy.lockSeconds(parsing: lock)
            }
            if change != SnapshotRules.Change() { try keeping.setPolicy(policy) }
            return SnapshotRules(keep: policy.text, lock: policy.lockText)
        }
    }

    private func keeping() throws(ControlFailure) -> any SnapshotKeeping {
        guard let keeping = process.opening.snapshotKeeping else {
            throw ControlFailure(
                .failed,
                "volume '\(process.opening.directory.name)' keeps no snapshots"
            )
        }
        return keeping
    }

    private func answering<Answer>(
        _ body: () throws(FileSystemError) -> Answer
    ) throws(ControlFailure) -> Answer {
        do throws(FileSystemError) {
            return try body()
        } catch {
            throw error.code == .invalid
                ? ControlFailure(.usage, error.message) : ControlFailure(error)
        }
    }
}

extension SnapshotRecord {
    fileprivate init(_ snapshot: SnapshotInfo, in directory: String) {
        self.init(
            version: snapshot.version,
            time: snapshot.time.text,
            name: snapshot.name,
            directory: directory,
            lockedUntil: snapshot.lockedUntil?.text
        )
    }
}
