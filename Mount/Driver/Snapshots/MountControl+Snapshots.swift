import Control
import Home
import Volume

extension MountControl {
    func snapshots() throws(ControlFailure) -> [SnapshotRecord] {
        try snapshotControl().list()
    }

    func createSnapshot(
        name: String,
        lock: String?
    ) throws(ControlFailure) -> SnapshotRecord {
        let control = try snapshotControl()
        // What programs wrote and the kernel has only cached is part of the tree.
        process.kernelMount.writeBack()
        return try control.create(name: name, lock: lock)
    }

    func deleteSnapshot(_ which: String) throws(ControlFailure) {
        try snapshotControl().delete(which)
    }

    func changeSnapshotRules(
        _ change: SnapshotRules.Change
    ) throws(ControlFailure) -> SnapshotRules {
        try snapshotControl().change(change)
    }

    private func snapshotControl() throws(ControlFailure) -> SnapshotControl {
        guard let keeping = process.opening.snapshotKeeping else {
            throw ControlFailure(
                .failed,
                "volume '\(process.opening.directory.name)' keeps no snapshots"
            )
        }
        let trees = process.snapshots?.trees
        return SnapshotControl(keeping) { trees?.noteChange() }
    }
}
