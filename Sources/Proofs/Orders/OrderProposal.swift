package import Primitives
package import Sealing
package import Wire

/// A client's half of an order's next state.
package struct OrderProposal: Hashable, Message {
    package let order: OrderID
    /// 0 opens the order, empty; every amendment is one more.
    package let sequence: UInt64
    package let commitment: Commitment
    package let at: Timestamp
    /// The owner's key, or that of a node with a grant.
    package let clientKey: PublicKey
    package let clientSignature: [UInt8]

    /// Proposes a state, signed by the client.
    package init(
        order: OrderID,
        sequence: UInt64,
        commitment: Commitment,
        at: Timestamp,
        signedBy client: SigningKey
    ) throws(SealingError) {
        self.order = order
        self.sequence = sequence
        self.commitment = commitment
        self.at = at
        clientKey = client.publicKey
        let fields = Self.fields(order, sequence, commitment, at, clientKey)
        clientSignature = try client.signature(of: Domain.orderProposal + fields)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        order = try reader.id()
        sequence = try reader.integer()
        commitment = try Commitment(from: &reader)
        at = try reader.timestamp()
        clientKey = try reader.publicKey()
        clientSignature = try reader.signature()
    }

    package func write(to writer: inout ByteWriter) {
        writer.raw(Self.fields(order, sequence, commitment, at, clientKey))
        writer.raw(clientSignature)
    }

    package var isSignatureValid: Bool {
        let fields = Self.fields(order, sequence, commitment, at, clientKey)
        return clientKey.isValid(signature: clientSignature, of: Domain.orderProposal + fields)
    }

    /// The bytes that are signed, in the order of the encoding.
    private static func fields(
        _ order: OrderID,
        _ sequence: UInt64,
        _ commitment: Commitment,
        _ at: Timestamp,
        _ clientKey: PublicKey
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.id(order)
        writer.integer(sequence)
        commitment.write(to: &writer)
        writer.timestamp(at)
        writer.raw(clientKey.bytes)
        return writer.bytes
    }
}
