package import Control
package import Volume
import Primitives

/// What can be asked of a volume's snapshots over the control socket.
package struct SnapshotControl: Sendable {
    private let keeping: any SnapshotKeeping
    /// Called when one was made or let go of.
    private let noteChange: @Sendable () -> Void

    package init(
        _ keeping: any SnapshotKeeping,
        noteChange: @escaping @Sendable () -> Void = {}
    ) {
        self.keeping = keeping
        self.noteChange = noteChange
    }

    /// The snapshots, oldest first.
    package func list() throws(ControlFailure) -> [SnapshotRecord] {
        try answering { () throws(FileSystemError) in
            try keeping.snapshots().directories.map { SnapshotRecord($0.snapshot, in: $0.name) }
        }
    }

    /// Keeps the present tree; `name` may be empty, and `lock`, such as "30d", takes the place of
    /// the policy's.
    ///
    /// - Throws: `usage` for what is no name or no lock, `already` for a name that is taken.
    package func create(
        name: String,
        lock: String? = nil
    ) throws(ControlFailure) -> SnapshotRecord {
        guard name.isEmpty || SnapshotInfo.isName(name) else {
            throw ControlFailure(
                .usage,
                "'\(name)' is no name of a snapshot; take up to \(SnapshotInfo.nameBytesMax)"
                    + " letters, digits, '.', '_' or '-', a letter first"
            )
        }
        return try answering { () throws(FileSystemError) in
            // Else the name would not say which is meant.
            let isTaken = try keeping.snapshots().contains { $0.name == name }
            guard name.isEmpty || !isTaken else {
                throw FileSystemError(.exists, "there is a snapshot '\(name)' already")
            }
            let seconds = try lock.map { text throws(FileSystemError) in
                try SnapshotPolicy.lockSeconds(parsing: text)
            }
            let made = try keeping.create(name: name, lockSeconds: seconds)
            noteChange()
            let listed = try keeping.snapshots().directories
            let directory = listed.first { $0.snapshot.version == made.version }?.name
            return SnapshotRecord(made, in: directory ?? made.directoryName)
        }
    }

    /// Lets go of a snapshot, named by time, directory, name or version.
    ///
    /// - Throws: `notFound` if none is meant, `usage` if several are.
    package func delete(_ which: String) throws(ControlFailure) {
        try answering { () throws(FileSystemError) in
            try keeping.delete(try keeping.snapshots().named(which).version)
            noteChange()
        }
    }

    /// Changes what is said of the rules and gives those that hold then.
    ///
    /// - Throws: `usage` for what is no rule.
    package func change(
        _ change: SnapshotRules.Change
    ) throws(ControlFailure) -> SnapshotRules {
        try answering { () throws(FileSystemError) in
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
            lockedUntil: snapshot.lockedUntil?.text,
            lockedShare: snapshot.lockedShare
        )
    }
}
