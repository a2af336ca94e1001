package import Primitives
import Metadata

/// A file, directory or link that has something which no head has.
package struct UnpublishedEntry: Sendable {
    /// From the root on.
    package let path: [EntryName]
    package let attributes: Attributes
}

extension VolumeEngine {
    /// Entries of one directory read at a time.
    private static let listedAtOnce = 1024

    /// Gives `body` all that has a name or bytes that no registered head of this machine has.
    ///
    /// Directories come before what they hold. More may be given than that: what was written and
    /// then published in part, but never less. Nothing else changes the volume meanwhile.
    package func forEachUnpublished(
        _ body: (UnpublishedEntry) throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        try metadata.commit()
        var wanted = try metadata.inodesTouched(after: try metadata.checkpointState().cutRow)
        for block in try metadata.dirtyBlocks(limit: .max) { wanted.insert(block.key.ino) }
        guard !wanted.isEmpty else { return }
        var directories: [(ino: InodeNumber, path: [EntryName])] = [(.root, [])]
        while let (ino, path) = directories.popLast() {
            var last: UInt64 = 0
            while true {
                let page = try readDirectory(ino, after: last, limit: Self.listedAtOnce)
                guard let end = page.last else { break }
                last = end.cookie
                for entry in page {
                    let attributes = entry.attributes
                    let path = path + [entry.name]
                    if wanted.contains(attributes.ino) {
                        try body(UnpublishedEntry(path: path, attributes: attributes))
                    }
                    if attributes.kind == .directory { directories.append((attributes.ino, path)) }
                }
            }
        }
    }
}
