import Primitives
import Sealing
import Testing

struct SHA256Tests {
    /// FIPS 180-4's examples.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            String(repeating: "a", count: 1_000_000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
    ])
    func digestIsThatOfTheStandard(text: String, digest: String) {
        #expect(SHA256.digest(Array(text.utf8)).hex == digest)
    }

    @Test func emptyBufferWithoutAddressIsNoBytes() {
        let buffer = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(SHA256.digest(buffer) == SHA256.digest([]))
        #expect(XXH3.hash64(buffer) == XXH3.hash64([]))
    }
}

struct XXH3Tests {
    /// Check values of xxHash 0.8 for no input and seed 0.
    @Test func hashOfNothingIsThatOfTheLibrary() {
        #expect(XXH3.hash64([]) == 0x2d06_8005_38d3_94c2)
        let wide = XXH3.hash128(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(wide.high == 0x99aa_06d3_0147_98d8)
        #expect(wide.low == 0x6001_c324_468d_497f)
    }
}
