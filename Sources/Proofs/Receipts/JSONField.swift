import Primitives
import Wire

/// One field of a format: what it is in bytes, and how it is written in a receipt file.
///
/// A format's fields in their order give its encoding from the JSON and the JSON from its encoding,
/// so that nothing can stand in the file that is not in the bytes that were signed.
struct JSONField: Sendable {
    /// How a field is encoded, and written.
    indirect enum Kind: Sendable {
        /// So many bytes; hexadecimal text, lower case.
        case hex(Int)
        case u32
        case u64
        /// Decimal text, because many readers of JSON lose such numbers' last digits.
        case u128
        /// Seconds and nanoseconds; ISO 8601 in UTC with nine digits after the point.
        case time
        case verdict
        /// A bit set; a list of names.
        case rights
        case text
        /// Length-prefixed bytes; base64 (RFC 4648 §4).
        case base64
        /// A counted list of ids; of hexadecimal texts.
        case shards
        /// The fields of another format; an object.
        case fields([JSONField])
    }

    let name: String
    let kind: Kind

    init(_ name: String, _ kind: Kind) {
        self.name = name
        self.kind = kind
    }
}

extension JSONField {
    private static let commitment = [
        JSONField("root", .hex(32)), JSONField("totalBytes", .u64), JSONField("count", .u64),
    ]

    static let terms = [
        JSONField("volume", .hex(16)), JSONField("ownerKey", .hex(32)),
        JSONField("provider", .hex(32)), JSONField("generation", .u32),
        JSONField("opened", .time),
    ]

    private static let proposal = [
        JSONField("order", .hex(16)), JSONField("sequence", .u64),
        JSONField("commitment", .fields(commitment)), JSONField("at", .time),
        JSONField("clientKey", .hex(32)), JSONField("clientSignature", .hex(64)),
    ]

    static let state = [
        JSONField("proposal", .fields(proposal)), JSONField("providerKey", .hex(32)),
        JSONField("providerSignature", .hex(64)),
    ]

    static let grant = [
        JSONField("volume", .hex(16)), JSONField("ownerKey", .hex(32)),
        JSONField("grantee", .hex(32)), JSONField("rights", .rights),
        JSONField("issued", .time), JSONField("expires", .time),
        JSONField("signature", .hex(64)),
    ]

    static let beacon = [
        JSONField("keeperKey", .hex(32)), JSONField("epoch", .u64),
        JSONField("epochSeconds", .u32), JSONField("previous", .hex(32)),
        JSONField("signature", .hex(64)),
    ]

    private static let challenge = [
        JSONField("order", .hex(16)), JSONField("provider", .hex(32)), JSONField("epoch", .u64),
        JSONField("beacon", .hex(32)), JSONField("sequence", .u64),
        JSONField("commitment", .fields(commitment)), JSONField("leaves", .u32),
    ]

    static let proof = [
        JSONField("challenge", .fields(challenge)), JSONField("body", .base64),
        JSONField("damaged", .shards), JSONField("providerKey", .hex(32)),
        JSONField("signature", .hex(64)),
    ]

    static let receipt = [
        JSONField("order", .hex(16)), JSONField("number", .u64), JSONField("previous", .hex(32)),
        JSONField("provider", .hex(32)), JSONField("epoch", .u64), JSONField("beacon", .hex(32)),
        JSONField("sequence", .u64), JSONField("commitment", .fields(commitment)),
        JSONField("leaves", .u32), JSONField("asked", .time), JSONField("answered", .time),
        JSONField("verdict", .verdict), JSONField("reason", .text),
        JSONField("proofHash", .hex(32)), JSONField("proofSignature", .hex(64)),
        JSONField("provedByteSeconds", .u128), JSONField("totalByteSeconds", .u128),
        JSONField("auditorKey", .hex(32)), JSONField("signature", .hex(64)),
    ]
}
