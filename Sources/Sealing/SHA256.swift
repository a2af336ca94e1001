import CSealing
package import Primitives

/// SHA-256 (FIPS 180-4): ids, commitments and Merkle trees.
package enum SHA256 {
    package static func digest(_ bytes: UnsafeRawBufferPointer) -> Digest {
        Digest(hashing: bytes, with: csealing_sha256)
    }

    package static func digest(_ bytes: [UInt8]) -> Digest {
        bytes.withUnsafeBytes { digest($0) }
    }
}

/// The Merkle tree of a shard: SHA-256 over leaves of 1 KiB.
///
/// A leaf is SHA-256(0x00 | bytes), a node SHA-256(0x01 | left | right); an odd last node moves up
/// unchanged. So the tree has RFC 6962's shape, and no leaf passes for a node.
package enum MerkleTree {
    /// The root over all of `shard`; its last leaf may be short, and no bytes are one empty leaf.
    package static func root(of shard: UnsafeRawBufferPointer) -> Digest {
        Digest(hashing: shard) { bytes, count, digest in
            csealing_merkle_root(bytes?.assumingMemoryBound(to: UInt8.self), count, digest)
        }
    }
}

extension Digest {
    /// Fails only where libcrypto lacks SHA-256 or 200 bytes of memory: no caller could go on.
    fileprivate init(
        hashing bytes: UnsafeRawBufferPointer,
        with function: (UnsafeRawPointer?, Int, UnsafeMutablePointer<UInt8>?) -> Int32
    ) {
        let digest = [UInt8](unsafeUninitializedCapacity: Digest.byteCount) { buffer, count in
            let success = function(bytes.baseAddress, bytes.count, buffer.baseAddress)
            precondition(success == 1, "libcrypto cannot compute SHA-256")
            count = Digest.byteCount
        }
        guard let digest = Digest(bytes: digest) else {
            preconditionFailure("a SHA-256 digest has 32 bytes")
        }
        self = digest
    }
}
