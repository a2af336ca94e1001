package import Sealing
import NIOCore
import NIOSSL
import Primitives
import Synchronization

/// What a node shows and demands in a TLS handshake: TLS 1.3, a self-signed Ed25519 certificate
/// on both sides, the protocol name, and no other authority than the key itself.
package final class NodeTLS: Sendable {
    /// Protocol name and version in the handshake (ALPN).
    package static let protocolName = "mefs/1"

    /// DER of an Ed25519 SubjectPublicKeyInfo before the 32 bytes of the key (RFC 8410 §4).
    private static let publicKeyPrefix: [UInt8] = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ]

    package let publicKey: PublicKey
    private let clientContext: NIOSSLContext
    private let serverContext: NIOSSLContext

    package init(identity: SigningKey) throws(NetworkError) {
        publicKey = identity.publicKey
        do {
            let certificate = try NodeCertificate(selfSignedBy: identity)
            let chain: [NIOSSLCertificateSource] = [
                .certificate(try NIOSSLCertificate(bytes: certificate.certificateDER, format: .der))
            ]
            let key = NIOSSLPrivateKeySource.privateKey(
                try NIOSSLPrivateKey(bytes: certificate.privateKeyDER, format: .der)
            )
            var client = TLSConfiguration.makeClientConfiguration()
            client.certificateChain = chain
            client.privateKey = key
            Self.demandNodeKeys(&client)
            clientContext = try NIOSSLContext(configuration: client)
            var server = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain,
                privateKey: key
            )
            Self.demandNodeKeys(&server)
            serverContext = try NIOSSLContext(configuration: server)
        } catch {
            throw NetworkError(.refused, "cannot make the node's certificate: \(error)")
        }
    }

    private static func demandNodeKeys(_ configuration: inout TLSConfiguration) {
        configuration.minimumTLSVersion = .tlsv13
        configuration.applicationProtocols = [protocolName]
        configuration.verifySignatureAlgorithms = [.ed25519]
        configuration.signingSignatureAlgorithms = [.ed25519]
        // Demands a certificate of the peer. Its key is judged by `PeerIdentity`, and the
        // handshake proves that the peer has the private half; no authority vouches for anyone.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.shutdownTimeout = .seconds(1)
    }

    func clientHandler(_ peer: PeerIdentity) throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: clientContext, serverHostname: nil) { chain, promise in
            promise.succeed(peer.admit(Self.key(of: chain)) ? .certificateVerified : .failed)
        }
    }

    func serverHandler(_ peer: PeerIdentity) -> NIOSSLServerHandler {
        NIOSSLServerHandler(context: serverContext) { chain, promise in
            promise.succeed(peer.admit(Self.key(of: chain)) ? .certificateVerified : .failed)
        }
    }

    /// The Ed25519 key of the leaf certificate, or `nil` if it has another kind of key.
    private static func key(of chain: [NIOSSLCertificate]) -> PublicKey? {
        guard let leaf = chain.first, let bytes = try? leaf.extractPublicKey().toSPKIBytes(),
            bytes.starts(with: publicKeyPrefix)
        else { return nil }
        return PublicKey(bytes: Array(bytes.dropFirst(publicKeyPrefix.count)))
    }
}

/// The node at the other end of one connection, known once its certificate was seen.
final class PeerIdentity: Sendable {
    private let expected: NodeID?
    private let seen = Mutex<PublicKey?>(nil)

    /// - Parameter expected: the only node that is admitted, or `nil` for any.
    init(expecting expected: NodeID?) { self.expected = expected }

    var key: PublicKey? { seen.withLock { $0 } }

    /// Whether the key was seen and is not the expected one.
    var isWrong: Bool {
        guard let key, let expected else { return false }
        return key.nodeID != expected
    }

    func admit(_ key: PublicKey?) -> Bool {
        seen.withLock { $0 = key }
        guard let key else { return false }
        return expected == nil || key.nodeID == expected
    }
}
