import Disk

extension VolumeDirectory {
    /// Where a mount that is read only has the databases of the heads that it follows.
    package var followedDirectory: String { path + "/followed" }

    /// Which head such a mount has followed last.
    package var followedMarkPath: String { path + "/followed-head" }

    /// Removes what a mount that was killed has left; the caller has the volume's lock.
    func clearFollowed() {
        // What stays takes room, and the next one tries again.
        try? Directory.remove(tree: followedDirectory)
    }
}
