package import Primitives
package import Proofs
package import Transport
import Sealing
import Wire
import Disk

extension ShardStore {
    /// Reads leaves of an order's shard, and with each what proves it: its chunk of 16 KiB, and of
    /// the record the header and the roots of the other chunks.
    ///
    /// Blocks for the disk. Damage is answered and remembered; `leaves` are ascending.
    ///
    /// - Throws: where the disk may answer later; nothing is known of the shard then.
    package func leaves(
        _ leaves: [Int],
        of entry: OrderEntry
    ) throws(NetworkError) -> [LeafAnswer] {
        var before: ShardIndex.Location?
        while let location = try locate(entry.shard), location != before {
            do {
                let answers = try read(leaves, of: entry, at: location)
                let isWhole = !answers.contains(.corrupt)
                if try isWhole || locate(entry.shard) == location { return answers }
            } catch {
                if try isDamaged(entry.shard, at: location, error) {
                    let isMissing = damage.kind(of: entry.shard) == .missing
                    return leaves.map { _ in isMissing ? .missing : .corrupt }
                }
            }
            // Deleted meanwhile, or put again to another place.
            before = location
        }
        return leaves.map { _ in .missing }
    }

    private func read(
        _ leaves: [Int],
        of entry: OrderEntry,
        at location: ShardIndex.Location
    ) throws -> [LeafAnswer] {
        let (record, segment) = try header(of: entry.shard, at: location)
        guard record.root == entry.root, UInt64(record.length) == entry.bytes else {
            throw DecodeError.corrupt("index")
        }
        guard let trailer = try trailer(of: record, at: location, in: segment) else {
            return try readWhole(leaves, of: record, at: location, in: segment)
        }
        let tree = try Self.tree(trailer.chunkRoots, of: record)
        var answers: [LeafAnswer] = []
        answers.reserveCapacity(leaves.count)
        let chunkBytes = min(SegmentRecord.chunkBytes, record.length)
        try withUnsafeTemporaryAllocation(byteCount: chunkBytes, alignment: 64) { buffer in
            var rest = leaves[...]
            while let first = rest.first {
                let index = first / MerkleTree.chunkLeaves
                let part = rest.prefix { $0 / MerkleTree.chunkLeaves == index }
                rest = rest.dropFirst(part.count)
                let chunk = try read(
                    index..<index + 1,
                    of: record,
                    at: location,
                    in: segment,
                    into: buffer
                )
                answers += self.answers(
                    Array(part),
                    from: chunk,
                    index,
                    of: record,
                    tree,
                    at: location
                )
            }
        }
        return answers
    }

    /// The upper part of a shard's tree, made once for all its leaves.
    private static func tree(
        _ chunkRoots: [UInt8],
        of record: SegmentRecord
    ) throws(DecodeError) -> MerkleChunks {
        let leafCount = record.length / Geometry.leafBytes
        guard let tree = MerkleChunks(leafCount: leafCount, roots: chunkRoots),
            tree.root == record.root
        else { throw .corrupt("shard's Merkle root") }
        return tree
    }

    /// The roots of a record's chunks; `nil` where there are none, or none that are whole.
    private func trailer(
        of record: SegmentRecord,
        at location: ShardIndex.Location,
        in segment: SegmentFiles.Segment
    ) throws -> RecordTrailer? {
        guard record.version == .proving else { return nil }
        let bytes = try segment.file.read(
            at: location.offset + UInt64(record.headerBytes + record.length),
            count: record.trailerBytes
        )
        do throws(DecodeError) {
            return try RecordTrailer(decoding: bytes, of: record, salt: segment.header.salt)
        } catch {
            // The shard itself may be whole: it is proved the long way, and mended by a put.
            note(record.shard, .corrupt, at: location, error)
            return nil
        }
    }

    private func answers(
        _ leaves: [Int],
        from chunk: UnsafeRawBufferPointer,
        _ index: Int,
        of record: SegmentRecord,
        _ tree: MerkleChunks,
        at location: ShardIndex.Location
    ) -> [LeafAnswer] {
        if record.firstCorruptChunk(index..<index + 1, in: chunk) == nil {
            let paths = leaves.compactMap { tree.path(leaf: $0, chunk: chunk) }
            if paths.count == leaves.count {
                return zip(leaves, paths).map { leaf, path in
                    let start = leaf % MerkleTree.chunkLeaves * Geometry.leafBytes
                    let end = min(start + Geometry.leafBytes, chunk.count)
                    return .leaf(bytes: Array(chunk[start..<end]), path: path)
                }
            }
        }
        note(record.shard, .corrupt, at: location, DecodeError.corrupt("chunk \(index)"))
        return leaves.map { _ in .corrupt }
    }

    /// For records without a trailer: hashes the whole shard.
    private func readWhole(
        _ leaves: [Int],
        of record: SegmentRecord,
        at location: ShardIndex.Location,
        in segment: SegmentFiles.Segment
    ) throws -> [LeafAnswer] {
        var bytes = [UInt8](repeating: 0, count: record.length)
        return try bytes.withUnsafeMutableBytes { buffer in
            let chunks = 0..<record.chunkCount
            let shard = try read(chunks, of: record, at: location, in: segment, into: buffer)
            // No path of this shard is right if any chunk rotted.
            if let chunk = record.firstCorruptChunk(chunks, in: shard) {
                throw DecodeError.corrupt("chunk \(chunk)")
            }
            let tree = try Self.tree(MerkleTree.chunkRoots(of: shard).chunks, of: record)
            return leaves.flatMap { leaf in
                let index = leaf / MerkleTree.chunkLeaves
                let range = SegmentRecord.chunkRange(index, length: record.length)
                let chunk = UnsafeRawBufferPointer(rebasing: shard[range])
                return answers([leaf], from: chunk, index, of: record, tree, at: location)
            }
        }
    }

    /// Remembers that a shard under an order is not here; `false` if it is.
    package func noteMissing(_ shard: ShardID) throws(NetworkError) -> Bool {
        guard try locate(shard) == nil else { return false }
        note(shard, .missing, at: nil, DecodeError.corrupt("not in the index"))
        return true
    }

    /// The shards that are known to be rotten or gone.
    package var damaged: [ShardID] { damage.all }
}
