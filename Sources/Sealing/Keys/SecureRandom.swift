import CSealing

/// Unpredictable bytes, from OpenSSL's generator seeded by the kernel.
package enum SecureRandom {
    package static func bytes(_ count: Int) -> [UInt8] {
        precondition((0...Int(Int32.max)).contains(count), "one call gives up to 2 GiB")
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            // A program that goes on without randomness gives its secrets away.
            let success = count == 0 || csealing_random(buffer.baseAddress, count) == 1
            precondition(success, "libcrypto gives no random bytes")
            initialized = count
        }
    }
}
