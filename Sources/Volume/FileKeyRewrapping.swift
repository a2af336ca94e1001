import Metadata
package import Primitives
package import Sealing

/// Wraps the key of every file of a volume that is not mounted under the newest generation of the
/// volume's key.
///
/// Contents are not touched: file keys stay what they are. May be cut off at any instant and run
/// again, as long as the volume's key is known with the generations before.
package enum FileKeyRewrapping {
    /// What was done.
    package struct Outcome: Hashable, Sendable {
        /// Files with a key.
        package var files: UInt64 = 0
        /// Those of them whose key was wrapped anew.
        package var rewrapped: UInt64 = 0
        /// Those whose key opens with no generation; they were left as they are.
        package var unreadable: UInt64 = 0

        /// Nothing yet.
        package init() {}
    }

    /// Keys wrapped between two commits.
    private static let page = 4096

    /// Whether a file's key is still wrapped under a generation before the newest.
    ///
    /// - Throws: `invalid` if the volume is in use.
    package static func isNeeded(
        metadataPath: String,
        key: VolumeKey
    ) throws(FileSystemError) -> Bool {
        guard !key.older.isEmpty else { return false }
        let store = try MetadataStore(opening: metadataPath)
        var isFound = false
        try walk(store) { keys throws(FileSystemError) in
            // What opens with no generation cannot be wrapped anew either.
            isFound = keys.contains { (try? key.rewrap($0.wrapped, for: $0.ino)) != nil }
            return !isFound
        }
        try store.close()
        return isFound
    }

    /// Wraps them, durably, and leaves nothing of the old wraps in the database or its log.
    ///
    /// - Throws: `invalid` if the volume is in use.
    package static func run(
        metadataPath: String,
        key: VolumeKey
    ) throws(FileSystemError) -> Outcome {
        let store = try MetadataStore(opening: metadataPath)
        var outcome = Outcome()
        try walk(store) { keys throws(FileSystemError) in
            for (ino, wrapped) in keys {
                outcome.files += 1
                let anew: [UInt8]?
                do throws(SealingError) {
                    anew = try key.rewrap(wrapped, for: ino)
                } catch {
                    outcome.unreadable += 1
                    continue
                }
                guard let anew else { continue }
                try store.setFileKey(anew, of: ino)
                outcome.rewrapped += 1
            }
            try store.commit()
            return true
        }
        try store.sync()
        try store.close()
        return outcome
    }

    /// Shows `body` all keys, page by page, until it answers no.
    private static func walk(
        _ store: MetadataStore,
        _ body: ([(ino: InodeNumber, wrapped: [UInt8])]) throws(FileSystemError) -> Bool
    ) throws(FileSystemError) {
        var last: InodeNumber?
        while true {
            let keys = try store.fileKeys(after: last, limit: page)
            guard let end = keys.last, try body(keys) else { return }
            last = end.ino
        }
    }
}
