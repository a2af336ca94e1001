import Metadata
import Primitives
import Sealing

/// A volume that was brought back for a drill.
struct RestoredVolume: Sendable {
    let metadata: MetadataSnapshot
    let key: VolumeKey
    let reader: StripeReader
    /// Files whose newest bytes were not placed.
    let behind: Set<InodeNumber>
    /// Whether there were more of them than are named.
    let isBehindCut: Bool

    /// Gives the blocks of a part of a file to `body`, in order, holes as zeros.
    ///
    /// - Throws: as `BlockReader.read`, `corrupt` also if the file's key does not open, and what
    ///   `body` throws.
    func forEachBlock(
        of file: Attributes,
        in blocks: Range<UInt64>,
        _ body: (_ offset: UInt64, _ bytes: [UInt8]) throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        guard let first = blocks.first, let last = blocks.last else { return }
        let locations = try metadata.locations(
            of: file.ino,
            in: BlockIndex(first)...BlockIndex(last)
        )
        let fileKey = locations.isEmpty ? nil : try fileKey(of: file.ino)
        let reader = BlockReader(reader)
        for index in blocks {
            let offset = BlockIndex(index).offset
            guard offset < file.size else { return }
            let count = Int(min(UInt64(Geometry.blockBytes), file.size - offset))
            var bytes = [UInt8](repeating: 0, count: count)
            if let location = locations[BlockIndex(index)], let fileKey {
                let stripe = try metadata.stripe(location.stripe)
                let plain = try reader.read(location, of: stripe, key: fileKey)
                // What lies past the valid bytes reads as zero.
                let valid = min(count, Int(location.validBytes), plain.count)
                bytes.replaceSubrange(..<valid, with: plain[..<valid])
            }
            try body(offset, bytes)
        }
    }

    private func fileKey(of ino: InodeNumber) throws(FileSystemError) -> FileKey {
        guard let wrapped = try metadata.fileKey(of: ino) else {
            throw FileSystemError(.corrupt, "inode \(ino.rawValue) has no file key")
        }
        do throws(SealingError) {
            return try key.unwrap(wrapped, for: ino)
        } catch {
            throw FileSystemError(
                .corrupt,
                "the key of inode \(ino.rawValue) cannot be opened: \(error)"
            )
        }
    }
}
