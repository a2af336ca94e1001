package import Primitives

// What a drill asks of a restored database: files drawn at random, and how new it is.

extension MetadataSnapshot {
    /// A name of a regular file.
    package struct Sample: Hashable, Sendable {
        package let ino: InodeNumber
        /// From the root, which is not in it.
        package let path: [EntryName]
    }

    /// Directories above a file; more are damage.
    private static let depthMax = 4096

    /// Up to `count` names of regular files, drawn at random from the whole tree; O(entries).
    ///
    /// - Throws: `corrupt`, also if a directory is not below the root.
    package func sampleFiles(_ count: Int) throws(FileSystemError) -> [Sample] {
        let drawn = try read { reader throws(FileSystemError) in try reader.sampleFiles(count) }
        var samples: [Sample] = []
        for (ino, parent, name) in drawn {
            samples.append(Sample(ino: ino, path: try path(of: parent) + [name]))
        }
        return samples
    }

    private func path(of directory: InodeNumber) throws(FileSystemError) -> [EntryName] {
        var path: [EntryName] = []
        var directory = directory
        while directory != .root {
            let above = try parent(of: directory)
            let names = try read { reader throws(FileSystemError) in
                try reader.name(of: directory, in: above).map { [$0] } ?? []
            }
            guard let name = names.first, path.count < Self.depthMax else {
                throw FileSystemError(
                    .corrupt,
                    "directory \(directory.rawValue) is not below the root"
                )
            }
            path.append(name)
            directory = above
        }
        return path.reversed()
    }

    /// When any inode changed last (`st_ctime`); `nil` if there is none.
    package func newestChange() throws(FileSystemError) -> Timestamp? {
        try read { reader throws(FileSystemError) in
            try reader.newestChange().map { [$0] } ?? []
        }.first
    }
}
