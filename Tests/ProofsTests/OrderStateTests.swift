import Primitives
import Proofs
import Sealing
import Testing
import Wire

struct OrderStateTests {
    private let samples: Samples
    private var custody: Custody { samples.custody }

    init() throws {
        samples = try Samples()
    }

    private func state(
        by client: SigningKey,
        sequence: UInt64 = 5,
        at: Timestamp = Custody.opened,
        commitment: Commitment? = nil,
        signedBy provider: SigningKey? = nil
    ) throws -> OrderState {
        let proposal = try OrderProposal(
            order: custody.terms.id,
            sequence: sequence,
            commitment: commitment ?? custody.state.commitment,
            at: at,
            signedBy: client
        )
        return try OrderState(accepting: proposal, signedBy: provider ?? custody.provider)
    }

    @Test func ownersStateIsBelieved() throws {
        for state in samples.states { try state.verify(terms: custody.terms, grants: []) }
    }

    @Test func grantedNodesStateIsBelievedUntilTheGrantExpires() throws {
        let terms = custody.terms
        let auditor = samples.auditor
        try state(by: auditor).verify(terms: terms, grants: [samples.grant])
        #expect(throws: OrderError.notAllowed(auditor.publicKey.nodeID)) {
            try state(by: auditor).verify(terms: terms, grants: [])
        }
        #expect(throws: OrderError.self) {
            try state(by: auditor, at: samples.grant.expires)
                .verify(terms: terms, grants: [samples.grant])
        }
    }

    @Test func grantAllowsNoMoreThanItSays() throws {
        let grant = samples.grant
        let node = samples.auditor.publicKey.nodeID
        let other = custody.provider.publicKey.nodeID
        let time = Custody.opened
        #expect(grant.allows(.audit, to: node, volume: custody.terms.volume, at: time))
        #expect(!grant.allows(.audit, to: other, volume: custody.terms.volume, at: time))
        let volume = try #require(VolumeID(bytes: [UInt8](repeating: 1, count: 16)))
        #expect(!grant.allows(.audit, to: node, volume: volume, at: time))
        let auditOnly = try Grant(
            volume: custody.terms.volume,
            grantee: node,
            rights: .audit,
            issued: time,
            expires: grant.expires,
            signedBy: custody.owner
        )
        #expect(auditOnly.allows(.audit, to: node, volume: custody.terms.volume, at: time))
        #expect(!auditOnly.allows(.all, to: node, volume: custody.terms.volume, at: time))
        #expect(throws: OrderError.self) {
            try state(by: samples.auditor).verify(terms: custody.terms, grants: [auditOnly])
        }
        let strangers = try Grant(
            volume: custody.terms.volume,
            grantee: node,
            rights: .all,
            issued: time,
            expires: grant.expires,
            signedBy: custody.provider
        )
        #expect(throws: OrderError.self) {
            try state(by: samples.auditor).verify(terms: custody.terms, grants: [strangers])
        }
    }

    @Test func stateOfOtherTermsIsRefused() throws {
        let terms = custody.terms
        let next = OrderTerms(
            volume: terms.volume,
            ownerKey: terms.ownerKey,
            provider: terms.provider,
            generation: 1,
            opened: terms.opened
        )
        #expect(next.id != terms.id)
        #expect(throws: OrderError.self) { try custody.state.verify(terms: next, grants: []) }
        #expect(throws: OrderError.self) {
            try state(by: custody.owner, signedBy: custody.keeper).verify(terms: terms, grants: [])
        }
        #expect(throws: OrderError.self) {
            try state(by: custody.owner, sequence: 0).verify(terms: terms, grants: [])
        }
    }

    @Test func everyFlippedBitOfAStateIsRefused() throws {
        let bytes = custody.state.encoded
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            guard let state = try? OrderState(decoding: flipped) else { continue }
            #expect(throws: OrderError.self, "bit \(bit)") {
                try state.verify(terms: custody.terms, grants: [samples.grant])
            }
        }
    }

    @Test func everyFlippedBitOfAGrantIsRefused() throws {
        let bytes = samples.grant.encoded
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            guard let grant = try? Grant(decoding: flipped) else { continue }
            #expect(!grant.isSignatureValid, "bit \(bit)")
        }
    }

    @Test func everyFlippedBitOfTheTermsMakesAnotherOrder() throws {
        let bytes = custody.terms.encoded
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            guard let terms = try? OrderTerms(decoding: flipped) else { continue }
            #expect(terms.id != custody.terms.id)
            #expect(throws: OrderError.self) { try custody.state.verify(terms: terms, grants: []) }
        }
    }
}
