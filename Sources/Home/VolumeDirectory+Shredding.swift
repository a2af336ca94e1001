import Disk

extension VolumeDirectory {
    /// What stays until all else is gone: the description, and the locks that are held.
    private static let last: Set<String> = ["volume.json", "lock", "keys.lock"]

    /// Whether the volume's key was destroyed; what is left of the directory can be removed.
    package var isShredded: Bool { file.wrappedKey.isEmpty }

    /// Destroys the volume on this machine: first every form of its key, durably, then names, cache
    /// and all the rest.
    ///
    /// Small files are overwritten before they are removed, which a journal, a snapshot or an SSD
    /// may outwit. Cut off at any instant, it can be repeated, and leaves nothing that opens once
    /// the first step is done. The volume is held by the caller (`lock`).
    package func shred() throws(HomeError) {
        try changingKeys { () throws(HomeError) in
            var emptied = file
            emptied.wrappedKey = []
            try withDisk { () throws(DiskError) in
                let old = try Descriptor(opening: path + "/volume.json", .readWrite)
                try WholeFile.replace(path + "/volume.json", with: emptied.encoded())
                try Self.overwrite(old)
                for secret in [seedPath, phrasePath] where WholeFile.exists(secret) {
                    try Self.overwrite(try Descriptor(opening: secret, .readWrite))
                    try WholeFile.remove(secret)
                }
                try Directory.sync(path)
                // The description last: while it is there, this can be repeated.
                for name in try Directory.list(path) where !Self.last.contains(name) {
                    try Directory.remove(tree: path + "/" + name)
                }
                try Directory.remove(tree: path)
                try Directory.sync(home.volumesPath)
            }
        }
    }

    /// Fills a file that is being given up with zeros, durably.
    static func overwrite(_ old: Descriptor) throws(DiskError) {
        try old.write(at: 0, [UInt8](repeating: 0, count: Int(clamping: try old.size())))
        try old.sync()
    }
}
