import Primitives
import Sealing

/// The hashes of a Merkle-sum tree, into memory that is there.
enum SumTree {
    /// Bytes of a node: its hash, and its sum as `UInt64`.
    static let nodeBytes = Digest.byteCount + 8

    /// Makes the node of an entry: SHA-256(0x02 | entry), and its bytes.
    static func hashLeaf(_ entry: OrderEntry, into node: UnsafeMutableRawBufferPointer) {
        entry.shard.bytes.withUnsafeBytes { shard in
            entry.root.bytes.withUnsafeBytes { root in
                hashLeaf(shard: shard, bytes: entry.bytes, root: root, into: node)
            }
        }
    }

    static func hashLeaf(
        shard: UnsafeRawBufferPointer,
        bytes: UInt64,
        root: UnsafeRawBufferPointer,
        into node: UnsafeMutableRawBufferPointer
    ) {
        withUnsafeTemporaryAllocation(byteCount: OrderEntry.byteCount, alignment: 8) { entry in
            entry.copyMemory(from: shard)
            entry.storeBytes(
                of: bytes.littleEndian,
                toByteOffset: ShardID.byteCount,
                as: UInt64.self
            )
            UnsafeMutableRawBufferPointer(rebasing: entry[(ShardID.byteCount + 8)...])
                .copyMemory(from: root)
            SHA256.digest(UnsafeRawBufferPointer(entry), tag: leafTag, into: node)
        }
        node.storeBytes(of: bytes.littleEndian, toByteOffset: Digest.byteCount, as: UInt64.self)
    }

    /// Makes a node from two that lie one after the other: SHA-256(0x03 | both), and their sum.
    static func hashPair(
        _ pair: UnsafeRawBufferPointer,
        into node: UnsafeMutableRawBufferPointer
    ) {
        let sum =
            UInt64(
                littleEndian: pair.loadUnaligned(fromByteOffset: Digest.byteCount, as: UInt64.self)
            )
            &+ UInt64(
                littleEndian: pair.loadUnaligned(
                    fromByteOffset: nodeBytes + Digest.byteCount,
                    as: UInt64.self
                )
            )
        SHA256.digest(pair, tag: nodeTag, into: node)
        node.storeBytes(of: sum.littleEndian, toByteOffset: Digest.byteCount, as: UInt64.self)
    }

    /// Makes the nodes at the indices `parents` from those below, which all are there; a last one
    /// without a sibling moves up as it is.
    static func hashParents(
        _ parents: [Int],
        of children: UnsafeRawBufferPointer,
        into nodes: UnsafeMutableRawBufferPointer
    ) {
        for parent in parents {
            let start = 2 * parent * nodeBytes
            let end = min(start + 2 * nodeBytes, children.count)
            let pair = UnsafeRawBufferPointer(rebasing: children[start..<end])
            let node = UnsafeMutableRawBufferPointer(
                rebasing: nodes[parent * nodeBytes..<(parent + 1) * nodeBytes]
            )
            if pair.count == nodeBytes {
                node.copyMemory(from: pair)
            } else {
                hashPair(pair, into: node)
            }
        }
    }

    private static let leafTag: UInt8 = 2
    private static let nodeTag: UInt8 = 3
}
