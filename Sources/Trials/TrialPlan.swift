import Primitives
import Sealing

/// What one trial does: all of it follows from the seed and these numbers.
package struct TrialPlan: Hashable, Sendable {
    /// Which crashes end the rounds.
    package enum Crashes: String, CaseIterable, Sendable {
        case kill
        case power
        case both
    }

    package var seed: UInt64
    /// Operations of clients in each round.
    package var steps = 150
    /// Lives of the machine, each ended by a crash and judged after the next start.
    package var rounds = 10
    package var crashes = Crashes.both
    /// Whether clients clone files; without, they do what they did before there were clones.
    package var clones = true

    package init(seed: UInt64) { self.seed = seed }
}

/// The circumstances of a trial, drawn from its seed.
struct TrialScene {
    let code: ErasureCode
    let providers: Int
    let frail: Int
    let clients: Int
    let cacheBytesMax: UInt64
    let dirtyBytesMax: UInt64
    let dirtyAgeSeconds: Double
    let volumeID: VolumeID
    let key: VolumeKey
    /// Whether programs write to files of the cache where they may, as the kernel does it.
    let passesThrough: Bool
    /// Who signs heads.
    let owner: SigningKey
    /// How long a change of the metadata waits before it is brought to the network; `nil` for ever.
    let checkpointInterval: Duration?

    init(seed: UInt64) throws(TrialFailure) {
        var random = SeededGenerator(seed: seed ^ 0x5ce_0e5)
        let codes = [(2, 1), (3, 1), (3, 2), (4, 2), (2, 2)]
        let (k, m) = codes[Int.random(in: 0..<codes.count, using: &random)]
        guard let code = ErasureCode(k: k, m: m), let id = VolumeID(bytes: random.bytes(16)) else {
            throw TrialFailure("no code \(k)+\(m)")
        }
        self.code = code
        volumeID = id
        key = VolumeKey(trusted: random.bytes(VolumeKey.byteCount))
        providers = max(6, code.n + Int.random(in: 0...2, using: &random))
        frail = Int.random(in: 0...code.m, using: &random)
        clients = Int.random(in: 1...3, using: &random)
        cacheBytesMax = UInt64.random(in: 2...8, using: &random) << 20
        dirtyBytesMax = UInt64.random(in: 1...5, using: &random) << 20
        dirtyAgeSeconds = Double.random(in: 0.2...2, using: &random)
        passesThrough = Int.random(in: 0..<3, using: &random) > 0
        do throws(SealingError) {
            owner = try SigningKey(seed: random.bytes(SigningKey.seedBytes))
        } catch {
            throw TrialFailure("no key of an owner: \(error)")
        }
        let milliseconds = Int.random(in: 100...4000, using: &random)
        checkpointInterval =
            Int.random(in: 0..<3, using: &random) > 0 ? .milliseconds(milliseconds) : nil
    }
}
