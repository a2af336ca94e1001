import Primitives
import Sealing
import Wire

/// What stands before the bytes that are signed or hashed, so that no format passes for another.
enum Domain {
    static let orderID = label("order")
    static let grant = label("grant")
    static let orderProposal = label("order-proposal")
    static let orderState = label("order-state")
    static let beaconBlock = label("beacon-block")
    static let beacon = label("beacon")
    static let challenge = label("challenge")
    static let proof = label("proof")
    static let receipt = label("receipt")

    private static func label(_ name: String) -> [UInt8] { Array("mefs/1/\(name)\0".utf8) }
}

extension Digest {
    /// 32 zeros: what stands where there is no digest.
    static let zero = Digest(filling: 0)

    /// 32 times the same byte.
    private init(filling byte: UInt8) {
        guard let digest = Digest(bytes: repeatElement(byte, count: Digest.byteCount)) else {
            preconditionFailure("a digest has 32 bytes")
        }
        self = digest
    }
}

extension ByteReader {
    mutating func publicKey() throws(DecodeError) -> PublicKey {
        guard let key = PublicKey(bytes: try bytes(PublicKey.byteCount)) else {
            throw .invalid(field: "public key", reason: "wrong length")
        }
        return key
    }

    mutating func signature() throws(DecodeError) -> [UInt8] {
        Array(try bytes(PublicKey.signatureBytes))
    }
}
