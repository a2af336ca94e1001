package import Primitives
package import Sealing
package import Wire

/// What a keeper keeps of a volume, so that its owner finds it again with the recovery phrase
/// alone: no name, and the volume key only wrapped.
package struct VolumeRegistration: Hashable, KeeperQuery {
    /// That it is kept.
    package typealias Answer = Nothing
    package static let operation = Operation.registerVolume
    package static let isForEveryKeeper = true

    /// The longest wrapped key.
    package static let wrappedKeyBytesMax = 1024
    /// Stands before the signed fields, so that the signature means nothing elsewhere.
    private static let signedPrefix = Array("mefs/1/volume-registration\0".utf8)

    package let id: VolumeID
    package let ownerKey: PublicKey
    package let code: ErasureCode
    /// The volume key, sealed under the owner's root seed; empty of a volume that was shredded.
    package let wrappedKey: [UInt8]
    package let created: Timestamp
    /// The owner's, over all of the above.
    package let signature: [UInt8]

    package var owner: NodeID { ownerKey.nodeID }

    /// Which of two registrations of one volume is the newer: the one with the later key, and none
    /// comes after a shredded one.
    package var keyGeneration: UInt64 {
        isShredded ? .max : UInt64(WrappedVolumeKey.generation(of: wrappedKey) ?? 0)
    }

    /// Makes a registration and signs it.
    package init(
        id: VolumeID,
        code: ErasureCode,
        wrappedKey: [UInt8],
        created: Timestamp,
        signedBy owner: SigningKey
    ) throws(SealingError) {
        precondition(wrappedKey.count <= Self.wrappedKeyBytesMax)
        self.id = id
        ownerKey = owner.publicKey
        self.code = code
        self.wrappedKey = wrappedKey
        self.created = created
        signature = try owner.signature(
            of: Self.signedBytes(id, owner.publicKey, code, wrappedKey, created)
        )
    }

    /// Makes the registration that has a keeper forget the volume's key, for ever.
    package init(
        shredding id: VolumeID,
        code: ErasureCode,
        created: Timestamp,
        signedBy owner: SigningKey
    ) throws(SealingError) {
        try self.init(id: id, code: code, wrappedKey: [], created: created, signedBy: owner)
    }

    /// Whether the owner destroyed the volume: there is no key any more.
    package var isShredded: Bool { wrappedKey.isEmpty }

    /// Whether the owner signed exactly this.
    package var isSignatureValid: Bool {
        ownerKey.isValid(
            signature: signature,
            of: Self.signedBytes(id, ownerKey, code, wrappedKey, created)
        )
    }

    /// Whether this is to be kept instead of `other`, of the same volume: made later, or with a
    /// later key.
    package func replaces(_ other: VolumeRegistration) -> Bool {
        (created, keyGeneration) > (other.created, other.keyGeneration)
    }

    private static func signedBytes(
        _ id: VolumeID,
        _ ownerKey: PublicKey,
        _ code: ErasureCode,
        _ wrappedKey: [UInt8],
        _ created: Timestamp
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(signedPrefix)
        writer.id(id)
        writer.raw(ownerKey.bytes)
        writer.code(code)
        writer.lengthPrefixed(wrappedKey)
        writer.timestamp(created)
        return writer.bytes
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(id)
        writer.raw(ownerKey.bytes)
        writer.code(code)
        writer.lengthPrefixed(wrappedKey)
        writer.timestamp(created)
        writer.raw(signature)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        id = try reader.id()
        ownerKey = try reader.publicKey()
        code = try reader.code()
        wrappedKey = Array(
            try reader.lengthPrefixed("wrapped key", limit: Self.wrappedKeyBytesMax)
        )
        created = try reader.timestamp()
        signature = Array(try reader.bytes(PublicKey.signatureBytes))
    }
}

/// The registrations of one owner.
package struct VolumeList: Hashable, Message {
    /// The most volumes of one owner at a keeper; so many of the longest fit one frame.
    package static let volumesMax = 1024

    package let volumes: [VolumeRegistration]

    package init(volumes: [VolumeRegistration]) { self.volumes = volumes }

    package func write(to writer: inout ByteWriter) {
        writer.integer(UInt32(volumes.count))
        for volume in volumes { volume.write(to: &writer) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        let count = try reader.count("volumes", limit: Self.volumesMax)
        var volumes: [VolumeRegistration] = []
        for _ in 0..<count { volumes.append(try VolumeRegistration(from: &reader)) }
        self.volumes = volumes
    }
}
