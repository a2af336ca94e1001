import Primitives
import Sealing
import Testing

struct HKDFTests {
    /// RFC 5869, appendix A.1 to A.3.
    @Test func derivedKeysAreThoseOfTheRFC() throws {
        let key = [UInt8](repeating: 0x0b, count: 22)
        #expect(
            HKDF.derive(
                from: key,
                salt: sequence(from: 0, count: 13),
                info: sequence(from: 0xf0, count: 10),
                count: 42
            )
                == (try hex(
                    """
                    3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf
                    34007208d5b887185865
                    """
                ))
        )
        #expect(
            HKDF.derive(
                from: sequence(from: 0, count: 80),
                salt: sequence(from: 0x60, count: 80),
                info: sequence(from: 0xb0, count: 80),
                count: 82
            )
                == (try hex(
                    """
                    b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c
                    59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71
                    cc30c58179ec3e87c14c01d5c1f3434f1d87
                    """
                ))
        )
        #expect(
            HKDF.derive(from: key, salt: [], info: [], count: 42)
                == (try hex(
                    """
                    8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d
                    9d201395faa4b61a96c8
                    """
                ))
        )
    }

    @Test func labelAndContextNeverMeet() {
        let key = sequence(from: 0, count: 32)
        let keys = [
            HKDF.derive(from: key, label: "a"), HKDF.derive(from: key, label: "ab"),
            HKDF.derive(from: key, label: "a", context: Array("b".utf8)),
            HKDF.derive(from: key, label: "a", context: [0]),
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test func longerKeyBeginsWithTheShorter() {
        let key = sequence(from: 0, count: 32)
        let long = HKDF.derive(from: key, label: "a", count: HKDF.derivedBytesMax)
        #expect(long.count == 8160)
        #expect(Array(long[..<32]) == HKDF.derive(from: key, label: "a"))
    }
}

struct SecureRandomTests {
    @Test func bytesDoNotRepeat() {
        #expect(SecureRandom.bytes(0) == [])
        let draws = (0..<100).map { _ in SecureRandom.bytes(16) }
        #expect(draws.allSatisfy { $0.count == 16 })
        #expect(Set(draws).count == 100)
    }
}
