package import Primitives
package import Sealing
package import Wire

/// Between whom an order is: what its id is the hash of, and never changes.
package struct OrderTerms: Hashable, Message {
    package let volume: VolumeID
    package let ownerKey: PublicKey
    package let provider: NodeID
    /// From 0; the next one takes the place of an order that its provider lost.
    package let generation: UInt32
    package let opened: Timestamp

    package init(
        volume: VolumeID,
        ownerKey: PublicKey,
        provider: NodeID,
        generation: UInt32,
        opened: Timestamp
    ) {
        self.volume = volume
        self.ownerKey = ownerKey
        self.provider = provider
        self.generation = generation
        self.opened = opened
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        ownerKey = try reader.publicKey()
        provider = try reader.id()
        generation = try reader.integer()
        opened = try reader.timestamp()
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(volume)
        writer.raw(ownerKey.bytes)
        writer.id(provider)
        writer.integer(generation)
        writer.timestamp(opened)
    }

    /// The first 16 bytes of SHA-256 over a label and the terms.
    package var id: OrderID {
        let digest = SHA256.digest(Domain.orderID + encoded).bytes
        guard let id = OrderID(bytes: digest.prefix(OrderID.byteCount)) else {
            preconditionFailure("a digest has 32 bytes")
        }
        return id
    }
}
