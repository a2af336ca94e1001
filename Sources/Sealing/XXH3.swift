import CXXHash

/// XXH3: finds what changed and what rotted by itself; no proof against anyone who means harm.
package enum XXH3 {
    package static func hash64(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        XXH3_64bits(bytes.baseAddress, bytes.count)
    }

    package static func hash64(_ bytes: [UInt8]) -> UInt64 {
        bytes.withUnsafeBytes { hash64($0) }
    }

    package static func hash128(
        _ bytes: UnsafeRawBufferPointer
    ) -> (low: UInt64, high: UInt64) {
        let hash = XXH3_128bits(bytes.baseAddress, bytes.count)
        return (hash.low64, hash.high64)
    }
}
