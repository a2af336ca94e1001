import Disk
import Primitives
import Synchronization

/// The rows of a base on their way from the database to the network: a file beside the database,
/// which a crash leaves and the next base begins anew.
final class CheckpointSpool: Sendable {
    private let path: String
    private let file: Descriptor
    private let written = Atomic<UInt64>(0)

    init(beside metadataPath: String) throws(FileSystemError) {
        path = metadataPath + ".base"
        let path = path
        file = try onDisk { () throws(DiskError) in
            try Descriptor(
                opening: path,
                .readWrite,
                [.create, .truncate],
                permissions: 0o600
            )
        }
    }

    func append(_ bytes: [UInt8]) throws(FileSystemError) {
        let offset = written.load(ordering: .relaxed)
        try onDisk { () throws(DiskError) in try file.write(at: offset, bytes) }
        written.store(offset + UInt64(bytes.count), ordering: .relaxed)
    }

    /// Gives everything in parts of 1 MiB, the last one shorter.
    func forEachPart(
        _ body: ([UInt8]) throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        let end = written.load(ordering: .relaxed)
        for offset in stride(from: 0, to: end, by: UInt64.Stride(Geometry.blockBytes)) {
            let count = Int(min(UInt64(Geometry.blockBytes), end - offset))
            let part = try onDisk { () throws(DiskError) in
                try file.read(at: offset, count: count)
            }
            guard part.count == count else {
                throw FileSystemError(.inputOutput, "\(path) is shorter than what was written")
            }
            try body(part)
        }
    }

    func remove() { try? WholeFile.remove(path) }
}
