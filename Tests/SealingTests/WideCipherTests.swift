import CSealing
import Primitives
import Sealing
import Testing

/// The ciphers of wide instructions, where the processor has them, against libcrypto's.
struct WideCipherTests {
    /// AES-256-GCM under one context.
    private final class Cipher {
        private let context: OpaquePointer

        init(_ context: OpaquePointer?) throws { self.context = try #require(context) }

        deinit { csealing_gcm_free(context) }

        /// Ciphertext and tag.
        func seal(
            _ plain: [UInt8],
            _ key: [UInt8],
            _ nonce: [UInt8],
            _ associated: [UInt8]
        ) -> [UInt8] {
            var sealed = plain
            var tag = [UInt8](repeating: 0, count: 16)
            let isDone = sealed.withUnsafeMutableBufferPointer { bytes in
                csealing_gcm_seal(
                    context,
                    key,
                    nonce,
                    associated,
                    associated.count,
                    bytes.baseAddress,
                    bytes.count,
                    bytes.baseAddress,
                    &tag
                )
            }
            #expect(isDone == 1)
            return sealed + tag
        }

        func open(
            _ sealed: [UInt8],
            _ key: [UInt8],
            _ nonce: [UInt8],
            _ associated: [UInt8]
        ) -> [UInt8]? {
            var plain = [UInt8](repeating: 0xee, count: sealed.count - 16)
            let isRight = csealing_gcm_open(
                context,
                key,
                nonce,
                associated,
                associated.count,
                sealed,
                plain.count,
                Array(sealed.suffix(16)),
                &plain
            )
            if isRight == 0 { #expect(plain.allSatisfy { $0 == 0 }) }
            return isRight == 1 ? plain : nil
        }
    }

    private static let lengths =
        Array(0...600) + [1023, 1024, 4096, 4097, 65_535, 65_536, 65_553]

    @Test func sealsAndOpensAsLibcryptoDoes() throws {
        let ours = try Cipher(csealing_gcm_new())
        let theirs = try Cipher(csealing_gcm_new_of_libcrypto())
        for (number, length) in Self.lengths.enumerated() {
            let key = SecureRandom.bytes(32)
            let nonce = SecureRandom.bytes(12)
            let associated = SecureRandom.bytes(number % 5 == 0 ? number : number % 20)
            let plain = SecureRandom.bytes(length)
            let sealed = ours.seal(plain, key, nonce, associated)
            #expect(sealed == theirs.seal(plain, key, nonce, associated), "\(length) bytes")
            #expect(ours.open(sealed, key, nonce, associated) == plain)
        }
    }

    @Test func anyChangedBitIsRefused() throws {
        let cipher = try Cipher(csealing_gcm_new())
        let key = SecureRandom.bytes(32)
        let nonce = SecureRandom.bytes(12)
        let associated = SecureRandom.bytes(9)
        for length in [1, 16, 63, 300, 1000] {
            let sealed = cipher.seal(SecureRandom.bytes(length), key, nonce, associated)
            for index in sealed.indices {
                var wrong = sealed
                wrong[index] ^= 1 << UInt8(index % 8)
                #expect(cipher.open(wrong, key, nonce, associated) == nil, "byte \(index)")
            }
            #expect(cipher.open(sealed, key, nonce, Array(associated.dropLast())) == nil)
            #expect(cipher.open(sealed, key, Array(nonce.reversed()), associated) == nil)
        }
    }

    @Test func keystreamIsThatOfLibcrypto() {
        for length in Self.lengths {
            let key = SecureRandom.bytes(32)
            let offsets: [UInt64] = [0, UInt64(length), 1 << 22, (1 << 36) + 7]
            for offset in offsets {
                var ours = SecureRandom.bytes(length)
                var theirs = ours
                #expect(csealing_ctr_apply(key, offset, &ours, length) == 1)
                #expect(csealing_ctr_apply_of_libcrypto(key, offset, &theirs, length) == 1)
                #expect(ours == theirs, "\(length) bytes from \(offset)")
            }
        }
    }

    /// Keys are kept from one segment to the next.
    @Test func anotherKeyTakesThePlaceOfTheLast() throws {
        let cipher = try Cipher(csealing_gcm_new())
        let theirs = try Cipher(csealing_gcm_new_of_libcrypto())
        let keys = (0..<3).map { _ in SecureRandom.bytes(32) }
        let nonce = SecureRandom.bytes(12)
        let plain = SecureRandom.bytes(100)
        for key in keys + keys.reversed() {
            let sealed = cipher.seal(plain, key, nonce, [])
            #expect(sealed == theirs.seal(plain, key, nonce, []))
            #expect(cipher.open(sealed, key, nonce, []) == plain)
        }
    }
}
