import Lease
package import Primitives
package import Sealing
package import Wire

/// A state of a volume that its owner has published, as keepers keep it: who finds the newest one
/// finds all that belongs to it.
package struct VolumeHead: Hashable, Message {
    /// The longest body.
    package static let bodyBytesMax = 64 << 10
    /// Stands before the signed fields, so that the signature means nothing elsewhere.
    private static let signedPrefix = Array("mefs/1/volume-head\0".utf8)

    package let volume: VolumeID
    package let ownerKey: PublicKey
    /// From 1; grows with each head.
    package let version: UInt64
    package let time: Timestamp
    /// The term of the writer lease under which it was made; 0 without one.
    package let term: UInt64
    /// The digest of the head before; `Digest.noHead` in the first.
    package let previous: Digest
    /// Sealed by the owner: at most 64 KiB that keepers cannot read.
    package let body: [UInt8]
    /// The owner's, over all of the above.
    package let signature: [UInt8]

    package var owner: NodeID { ownerKey.nodeID }

    /// SHA-256 of the whole encoded head.
    package var digest: Digest { SHA256.digest(encoded) }

    /// Makes a head and signs it.
    package init(
        volume: VolumeID,
        version: UInt64,
        time: Timestamp,
        term: UInt64,
        previous: Digest,
        body: [UInt8],
        signedBy owner: SigningKey
    ) throws(SealingError) {
        precondition(version > 0 && body.count <= Self.bodyBytesMax)
        self.volume = volume
        ownerKey = owner.publicKey
        self.version = version
        self.time = time
        self.term = term
        self.previous = previous
        self.body = body
        var writer = ByteWriter()
        Self.write(volume, ownerKey, version, time, term, previous, body, to: &writer)
        signature = try owner.signature(of: Self.signedPrefix + writer.bytes)
    }

    /// Whether the owner signed exactly this.
    package var isSignatureValid: Bool {
        var writer = ByteWriter()
        Self.write(volume, ownerKey, version, time, term, previous, body, to: &writer)
        return ownerKey.isValid(signature: signature, of: Self.signedPrefix + writer.bytes)
    }

    private static func write(
        _ volume: VolumeID,
        _ ownerKey: PublicKey,
        _ version: UInt64,
        _ time: Timestamp,
        _ term: UInt64,
        _ previous: Digest,
        _ body: [UInt8],
        to writer: inout ByteWriter
    ) {
        writer.id(volume)
        writer.raw(ownerKey.bytes)
        writer.integer(version)
        writer.timestamp(time)
        writer.integer(term)
        writer.id(previous)
        writer.lengthPrefixed(body)
    }

    package func write(to writer: inout ByteWriter) {
        Self.write(volume, ownerKey, version, time, term, previous, body, to: &writer)
        writer.raw(signature)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        ownerKey = try reader.publicKey()
        version = try reader.integer()
        guard version > 0 else { throw .invalid(field: "version of a head", reason: "0") }
        time = try reader.timestamp()
        term = try reader.leaseTerm()
        previous = try reader.id()
        body = Array(try reader.lengthPrefixed("body of a head", limit: Self.bodyBytesMax))
        signature = Array(try reader.bytes(PublicKey.signatureBytes))
    }
}

extension Digest {
    /// What the first head of a volume has for the digest of one before.
    package static let noHead: Digest = {
        guard let digest = Digest(bytes: Array(repeating: 0, count: byteCount)) else {
            preconditionFailure("a digest has 32 bytes")
        }
        return digest
    }()
}
