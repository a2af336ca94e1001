import Primitives
import Proofs
import Sealing

/// Keys and beacon of one simulated order: what both kinds of audit simulations need.
struct AuditedWorld {
    static let epochSeconds: UInt32 = 3600
    private static let firstEpoch: UInt64 = 480_000

    let owner: SigningKey
    let provider: SigningKey
    private let keeper: SigningKey
    let volume: VolumeID
    private(set) var beacon: BeaconBlock
    var generator: SeededGenerator

    init(seed: UInt64) throws(SealingError) {
        generator = SeededGenerator(seed: seed)
        owner = try SigningKey(seed: generator.bytes(SigningKey.seedBytes))
        provider = try SigningKey(seed: generator.bytes(SigningKey.seedBytes))
        keeper = try SigningKey(seed: generator.bytes(SigningKey.seedBytes))
        guard let volume = VolumeID(bytes: generator.bytes(VolumeID.byteCount)) else {
            preconditionFailure("an id has 16 bytes")
        }
        self.volume = volume
        do {
            beacon = try BeaconBlock.next(
                after: nil,
                epoch: Epoch(Self.firstEpoch),
                epochSeconds: Self.epochSeconds,
                signedBy: keeper
            )
        } catch {
            throw .libraryFailed("making the first block of a beacon")
        }
    }

    /// The time at which the current epoch begins.
    var time: Timestamp {
        Timestamp(
            seconds: Int64(beacon.epoch.rawValue) * Int64(Self.epochSeconds),
            nanoseconds: 0
        )
    }

    /// Goes on by `epochs`, of which only the last has a block.
    mutating func nextEpoch(skipping epochs: UInt64 = 0) throws(ProofError) {
        beacon = try BeaconBlock.next(
            after: beacon,
            epoch: Epoch(beacon.epoch.rawValue + 1 + epochs),
            epochSeconds: Self.epochSeconds,
            signedBy: keeper
        )
    }

    func terms(generation: UInt32) -> OrderTerms {
        OrderTerms(
            volume: volume,
            ownerKey: owner.publicKey,
            provider: provider.publicKey.nodeID,
            generation: generation,
            opened: time
        )
    }

    /// What the provider is asked in the current epoch.
    func challenge(
        _ order: OrderID,
        sequence: UInt64,
        _ commitment: Commitment,
        leaves: UInt32
    ) -> Challenge {
        Challenge(
            order: order,
            provider: provider.publicKey.nodeID,
            epoch: beacon.epoch,
            beacon: beacon.value,
            sequence: sequence,
            commitment: commitment,
            leaves: leaves
        )
    }
}
