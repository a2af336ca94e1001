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

    /// Writes the digest of `bytes` to the first 32 bytes of `output`, without allocating.
    package static func digest(
        _ bytes: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(output.count >= Digest.byteCount, "a digest has 32 bytes")
        let target = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let success = csealing_sha256(bytes.baseAddress, bytes.count, target)
        precondition(success == 1, "libcrypto cannot compute SHA-256")
    }

    /// Writes SHA-256(tag | bytes) to the first 32 bytes of `output`, without allocating.
    package static func digest(
        _ bytes: UnsafeRawBufferPointer,
        tag: UInt8,
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(output.count >= Digest.byteCount, "a digest has 32 bytes")
        let target = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let success = csealing_sha256_tagged(tag, bytes.baseAddress, bytes.count, target)
        precondition(success == 1, "libcrypto cannot compute SHA-256")
    }
}

extension Digest {
    /// Fails only where libcrypto lacks SHA-256 or 200 bytes of memory: no caller could go on.
    init(
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
