import Disk

/// Where a volume is brought back to see whether that goes: `drills/NAME` of its home, removed when
/// the drill ends, or by the next one if this one is killed.
package final class DrillDirectory: Sendable {
    package let path: String
    private let lock: FileLock

    /// Makes it, empty; one at a time for each volume.
    ///
    /// - Throws: `already` while there is another drill of the volume.
    package init(of volume: VolumeDirectory) throws(HomeError) {
        let parent = volume.home.path + "/drills"
        path = parent + "/" + volume.name
        let path = path
        try withDisk { () throws(DiskError) in try Directory.make(parent, durably: false) }
        do throws(FileLock.Failure) {
            lock = try FileLock(path + ".lock")
        } catch {
            switch error {
            case .disk(let error): throw HomeError(error)
            case .held(_, let holder):
                throw HomeError(
                    .already,
                    "\(holder) is at a drill of volume '\(volume.name)'; wait for it"
                )
            }
        }
        try withDisk { () throws(DiskError) in
            // Left by a drill that was killed.
            try Directory.remove(tree: path)
            try Directory.make(path, durably: false)
        }
    }

    /// Removes it with all that is in it; once more does nothing.
    package func remove() {
        try? Directory.remove(tree: path)
        lock.release()
    }
}
