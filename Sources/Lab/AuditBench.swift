import Primitives
import Proofs
import Sealing
import Wire

/// Audits an order and counts what that costs on this thread.
struct AuditBench {
    let name: String
    let tree: OrderTree
    let provider: SigningKey
    /// Otherwise no system call counts the reads, and none are stated.
    var isOnDisk = true
    let reading: (OrderEntry, [Int]) -> [LeafAnswer]

    /// The mean of `rounds` audits in epochs of their own, after one that is not counted.
    func measure(leaves: UInt32, rounds: Int) throws -> AuditCost {
        let overhead = Usage.overhead()
        var prover = (processor: 0.0, wall: 0.0, reads: 0, bytes: 0)
        var verifierSeconds = 0.0
        var proofBytes = 0
        for round in 0...rounds {
            let challenge = try challenge(leaves: leaves, epoch: UInt64(round))
            let start = Usage.now()
            let proof = try Prover.prove(
                challenge,
                over: tree,
                damaged: [],
                signedBy: provider,
                reading: reading
            )
            let proved = Usage.now()
            let outcome = Verifier.verify(proof, of: challenge)
            let verified = Usage.now()
            guard outcome.verdict == .ok else { throw LabError("audit: \(outcome.reason)") }
            guard round > 0 else { continue }
            let used = proved.since(start, overhead: overhead)
            prover.processor += used.processorSeconds
            prover.wall += used.wallSeconds
            prover.reads += used.reads
            prover.bytes += used.readBytes
            verifierSeconds += verified.since(proved, overhead: overhead).processorSeconds
            proofBytes += proof.encoded.count
        }
        let count = Double(rounds)
        return AuditCost(
            store: name,
            heldBytes: tree.commitment.totalBytes,
            leaves: leaves,
            audits: rounds,
            proverSeconds: prover.processor / count,
            proverWallSeconds: prover.wall / count,
            reads: isOnDisk ? Double(prover.reads) / count : nil,
            readBytes: isOnDisk ? Double(prover.bytes) / count : nil,
            proofBytes: Double(proofBytes) / count,
            verifierSeconds: verifierSeconds / count
        )
    }

    private func challenge(leaves: UInt32, epoch: UInt64) throws -> Challenge {
        guard let order = OrderID(bytes: [UInt8](repeating: 7, count: OrderID.byteCount)),
            let beacon = Digest(
                bytes: SHA256.digest(withUnsafeBytes(of: epoch) { Array($0) }).bytes
            )
        else { throw LabError("no ids") }
        return Challenge(
            order: order,
            provider: provider.publicKey.nodeID,
            epoch: Epoch(480_000 + epoch),
            beacon: beacon,
            sequence: 1,
            commitment: tree.commitment,
            leaves: leaves
        )
    }
}

/// Why a measurement cannot be made.
struct LabError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
