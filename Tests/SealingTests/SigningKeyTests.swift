import Primitives
import Sealing
import Testing

private struct Vector {
    let seed: String
    let publicKey: String
    let message: String
    let signature: String
}

/// RFC 8032 §7.1, tests 1 to 3.
private let vectors = [
    Vector(
        seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        message: "",
        signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            + "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    ),
    Vector(
        seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        message: "72",
        signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    ),
    Vector(
        seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        message: "af82",
        signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    ),
]

struct SigningKeyTests {
    @Test func keysAndSignaturesAreThoseOfTheRFC() throws {
        for vector in vectors {
            let key = try SigningKey(seed: hex(vector.seed))
            #expect(key.seed == (try hex(vector.seed)))
            #expect(key.publicKey.description == vector.publicKey)
            let message = try hex(vector.message)
            let signature = try key.signature(of: message)
            #expect(signature == (try hex(vector.signature)))
            #expect(key.publicKey.isValid(signature: signature, of: message))
        }
    }

    @Test func anyChangeMakesTheSignatureInvalid() throws {
        let key = try SigningKey(seed: sequence(from: 0, count: 32))
        let message = Array("one hundred blocks".utf8)
        let signature = try key.signature(of: message)
        for bit in 0..<signature.count * 8 {
            var flipped = signature
            flipped[bit / 8] ^= 1 << (bit % 8)
            #expect(!key.publicKey.isValid(signature: flipped, of: message))
        }
        for count in 0..<signature.count {
            #expect(!key.publicKey.isValid(signature: Array(signature[..<count]), of: message))
        }
        #expect(!key.publicKey.isValid(signature: signature + [0], of: message))
        #expect(!key.publicKey.isValid(signature: signature, of: message + [0]))
        #expect(!(try SigningKey.random()).publicKey.isValid(signature: signature, of: message))
    }

    @Test(arguments: [0, 31, 33, 64])
    func seedHas32Bytes(count: Int) {
        let error = SealingError.wrongLength(of: "an Ed25519 seed", expected: 32, actual: count)
        #expect(throws: error) { try SigningKey(seed: [UInt8](repeating: 1, count: count)) }
    }

    @Test(arguments: [0, 31, 33])
    func publicKeyHas32Bytes(count: Int) {
        #expect(PublicKey(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }

    @Test func bytesThatAreNoPointVerifyNothing() throws {
        let key = try #require(PublicKey(bytes: [UInt8](repeating: 0xff, count: 32)))
        #expect(!key.isValid(signature: [UInt8](repeating: 0, count: 64), of: []))
    }

    @Test func nodeIDIsTheKeysDigest() throws {
        let key = try SigningKey.random()
        #expect(key.publicKey.nodeID.bytes == SHA256.digest(key.publicKey.bytes).bytes)
    }
}

struct NodeCertificateTests {
    @Test func certificateIsAsWrittenDown() throws {
        let key = try SigningKey(seed: sequence(from: 0, count: 32))
        let certificate = try NodeCertificate(selfSignedBy: key)
        #expect(certificate.certificateDER == (try GoldenFile.bytes("certificate")))
        #expect(certificate.privateKeyDER == (try GoldenFile.bytes("certificate-key")))
    }

    @Test func certificateCarriesTheKey() throws {
        let key = try SigningKey.random()
        let certificate = try NodeCertificate(selfSignedBy: key)
        #expect(certificate.certificateDER.contains(key.publicKey.bytes))
        #expect(certificate.privateKeyDER.suffix(32) == key.seed[...])
    }
}
