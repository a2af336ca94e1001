import CSealing
import Primitives

/// A node's self-signed Ed25519 certificate (X.509 v3) with its private key, for TLS.
///
/// Peers pin the key and read nothing else of it, so it is valid from 1970 to 9999 and the same
/// whenever it is made: serial and name come from the node id.
package struct NodeCertificate: Sendable {
    /// The certificate, DER.
    package let certificateDER: [UInt8]
    /// The private key, PKCS#8 in DER.
    package let privateKeyDER: [UInt8]

    /// Hexadecimal digits of the node id in the common name, for people reading a TLS trace.
    private static let nameDigits = 32
    /// Bytes of the serial number; RFC 5280 §4.1.2.2 allows 20.
    private static let serialBytes = 16

    package init(selfSignedBy key: SigningKey) throws(SealingError) {
        let id = key.publicKey.nodeID
        var serial = Array(id.bytes.prefix(Self.serialBytes))
        // Positive, and not zero.
        serial[0] = serial[0] & 0x7f | 0x40
        var certificate: UnsafeMutablePointer<UInt8>?
        var certificateCount = 0
        var privateKey: UnsafeMutablePointer<UInt8>?
        var privateKeyCount = 0
        let success = csealing_certificate(
            key.bytes,
            String(id.hex.prefix(Self.nameDigits)),
            serial,
            &certificate,
            &certificateCount,
            &privateKey,
            &privateKeyCount
        )
        guard success == 1 else { throw .libraryFailed("making a certificate") }
        defer {
            csealing_free(certificate, certificateCount)
            csealing_free(privateKey, privateKeyCount)
        }
        certificateDER = Array(UnsafeBufferPointer(start: certificate, count: certificateCount))
        privateKeyDER = Array(UnsafeBufferPointer(start: privateKey, count: privateKeyCount))
    }
}
