package import Primitives
package import Sealing
package import Wire

/// What an owner lets a node do with the orders of a volume, until it expires.
package struct Grant: Hashable, Message {
    /// What a grant allows.
    package struct Rights: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// To challenge the volume's providers and read its orders.
        package static let audit = Rights(rawValue: 1)
        /// To read and put shards and amend the volume's orders.
        package static let repair = Rights(rawValue: 2)
        package static let all: Rights = [.audit, .repair]
    }

    package let volume: VolumeID
    package let ownerKey: PublicKey
    package let grantee: NodeID
    package let rights: Rights
    package let issued: Timestamp
    package let expires: Timestamp
    package let signature: [UInt8]

    /// Grants `rights`, signed by the owner.
    package init(
        volume: VolumeID,
        grantee: NodeID,
        rights: Rights,
        issued: Timestamp,
        expires: Timestamp,
        signedBy owner: SigningKey
    ) throws(SealingError) {
        self.volume = volume
        ownerKey = owner.publicKey
        self.grantee = grantee
        self.rights = rights
        self.issued = issued
        self.expires = expires
        let fields = Self.fields(volume, ownerKey, grantee, rights, issued, expires)
        signature = try owner.signature(of: Domain.grant + fields)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        ownerKey = try reader.publicKey()
        grantee = try reader.id()
        rights = Rights(rawValue: try reader.integer())
        guard rights.isSubset(of: .all), !rights.isEmpty else {
            throw .invalid(field: "rights", reason: "\(rights.rawValue)")
        }
        issued = try reader.timestamp()
        expires = try reader.timestamp()
        signature = try reader.signature()
    }

    package func write(to writer: inout ByteWriter) {
        writer.raw(Self.fields(volume, ownerKey, grantee, rights, issued, expires))
        writer.raw(signature)
    }

    /// Whether it allows `grantee` all of `rights` on `volume` at `time`; checks the signature too.
    ///
    /// Whose grant it is shows in `ownerKey`, which the caller compares. From when it is valid is
    /// not checked, because clocks differ and an owner who signs means it.
    package func allows(
        _ rights: Rights,
        to grantee: NodeID,
        volume: VolumeID,
        at time: Timestamp
    ) -> Bool {
        self.rights.isSuperset(of: rights) && self.grantee == grantee && self.volume == volume
            && time < expires && isSignatureValid
    }

    package var isSignatureValid: Bool {
        let fields = Self.fields(volume, ownerKey, grantee, rights, issued, expires)
        return ownerKey.isValid(signature: signature, of: Domain.grant + fields)
    }

    /// The bytes that are signed, in the order of the encoding.
    private static func fields(
        _ volume: VolumeID,
        _ ownerKey: PublicKey,
        _ grantee: NodeID,
        _ rights: Rights,
        _ issued: Timestamp,
        _ expires: Timestamp
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.id(volume)
        writer.raw(ownerKey.bytes)
        writer.id(grantee)
        writer.integer(rights.rawValue)
        writer.timestamp(issued)
        writer.timestamp(expires)
        return writer.bytes
    }
}
