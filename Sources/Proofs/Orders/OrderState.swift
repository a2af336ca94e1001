package import Primitives
package import Sealing
package import Wire

/// What an order holds, signed by client and provider.
///
/// A provider that signs two states of one sequence is forging.
package struct OrderState: Hashable, Message {
    package let proposal: OrderProposal
    package let providerKey: PublicKey
    package let providerSignature: [UInt8]

    /// Countersigns `proposal`; the caller has checked what it says.
    package init(
        accepting proposal: OrderProposal,
        signedBy provider: SigningKey
    ) throws(SealingError) {
        self.proposal = proposal
        providerKey = provider.publicKey
        providerSignature = try provider.signature(of: Self.signed(proposal, providerKey))
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        proposal = try OrderProposal(from: &reader)
        providerKey = try reader.publicKey()
        providerSignature = try reader.signature()
    }

    package func write(to writer: inout ByteWriter) {
        proposal.write(to: &writer)
        writer.raw(providerKey.bytes)
        writer.raw(providerSignature)
    }

    package var order: OrderID { proposal.order }
    package var sequence: UInt64 { proposal.sequence }
    package var commitment: Commitment { proposal.commitment }

    /// Checks that this is a state of the order with `terms`, signed by its provider and by its
    /// owner or a node that one of `grants` lets repair.
    package func verify(terms: OrderTerms, grants: [Grant]) throws(OrderError) {
        guard order == terms.id else {
            throw .mismatch(field: "order", reason: "\(order) is not the order of these terms")
        }
        guard providerKey.nodeID == terms.provider else {
            throw .mismatch(
                field: "provider key",
                reason: "it is not that of provider \(terms.provider)"
            )
        }
        if let fault = commitment.fault { throw .mismatch(field: "commitment", reason: fault) }
        guard sequence > 0 || commitment == .empty else {
            throw .mismatch(field: "commitment", reason: "an order opens empty")
        }
        guard proposal.isSignatureValid else { throw .badSignature(of: "the proposal") }
        guard
            providerKey.isValid(
                signature: providerSignature,
                of: Self.signed(proposal, providerKey)
            )
        else { throw .badSignature(of: "the state") }
        try verifyClient(terms: terms, grants: grants)
    }

    private func verifyClient(terms: OrderTerms, grants: [Grant]) throws(OrderError) {
        guard proposal.clientKey != terms.ownerKey else { return }
        let client = proposal.clientKey.nodeID
        let isGranted = grants.contains { grant in
            grant.ownerKey == terms.ownerKey
                && grant.allows(.repair, to: client, volume: terms.volume, at: proposal.at)
        }
        guard isGranted else { throw .notAllowed(client) }
    }

    private static func signed(_ proposal: OrderProposal, _ providerKey: PublicKey) -> [UInt8] {
        Domain.orderState + proposal.encoded + providerKey.bytes
    }
}
