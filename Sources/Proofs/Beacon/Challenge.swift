package import Primitives
import Sealing
package import Wire

/// What a provider is asked of an order in an epoch: which leaves follows from this alone.
package struct Challenge: Hashable, Message {
    /// Bytes of its encoding.
    package static let byteCount = 148
    /// Leaves that can be asked at once.
    ///
    /// So many, spread over the largest order, fit `Proof.bodyBytesMax`: 1,457 bytes each for leaf,
    /// path and entry, and 13 sums and hashes of 40 bytes that no other leaf shares.
    package static let leavesMax = 2048
    /// Leaves of an ordinary challenge, one an hour.
    ///
    /// A day of them misses the loss of 1 % with 0.99^960 = 0.006 %; 32 leaves would with 0.044 %.
    package static let leavesUsual: UInt32 = 40
    /// Leaves asked where there is doubt: one challenge finds the loss of 1 % with 99 %.
    package static let leavesDoubtful: UInt32 = 460

    package let order: OrderID
    package let provider: NodeID
    package let epoch: Epoch
    /// `BeaconBlock.value` of the epoch.
    package let beacon: Digest
    /// Of the order's state whose commitment this is.
    package let sequence: UInt64
    package let commitment: Commitment
    /// How many leaves are drawn, 1...2048; a leaf drawn twice is asked once.
    package let leaves: UInt32

    package init(
        order: OrderID,
        provider: NodeID,
        epoch: Epoch,
        beacon: Digest,
        sequence: UInt64,
        commitment: Commitment,
        leaves: UInt32
    ) {
        self.order = order
        self.provider = provider
        self.epoch = epoch
        self.beacon = beacon
        self.sequence = sequence
        self.commitment = commitment
        self.leaves = leaves
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        order = try reader.id()
        provider = try reader.id()
        epoch = Epoch(try reader.integer())
        beacon = try reader.id()
        sequence = try reader.integer()
        commitment = try Commitment(from: &reader)
        leaves = try reader.integer()
        if let fault { throw .invalid(field: "challenge", reason: fault) }
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(order)
        writer.id(provider)
        writer.integer(epoch.rawValue)
        writer.id(beacon)
        writer.integer(sequence)
        commitment.write(to: &writer)
        writer.integer(leaves)
    }

    /// Why no provider answers this challenge, or `nil` if one does.
    var fault: String? {
        guard leaves >= 1, leaves <= Self.leavesMax else {
            return "\(leaves) leaves, not 1 to \(Self.leavesMax)"
        }
        return commitment.fault
    }

    /// The first bytes of the leaves that are asked, as offsets into all bytes of the order one
    /// shard after another: ascending, each once.
    ///
    /// Every byte is drawn as likely as any other. The first draws do not depend on how many there
    /// are: those of 32 leaves are among those of 460.
    package func draws() -> [UInt64] {
        guard commitment.totalBytes > 0 else { return [] }
        let leafBytes = UInt64(Geometry.leafBytes)
        var message = [UInt8](repeating: 0, count: Digest.byteCount + 4)
        message.replaceSubrange(..<Digest.byteCount, with: seed.bytes)
        var digest = [UInt8](repeating: 0, count: Digest.byteCount)
        var draws: [UInt64] = []
        draws.reserveCapacity(Int(leaves))
        for index in 0..<leaves {
            withUnsafeBytes(of: index.littleEndian) { bytes in
                message.replaceSubrange(Digest.byteCount..., with: bytes)
            }
            message.withUnsafeBytes { bytes in
                digest.withUnsafeMutableBytes { SHA256.digest(bytes, into: $0) }
            }
            let number = digest.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            let offset = commitment.totalBytes
                .multipliedFullWidth(by: UInt64(littleEndian: number)).high
            draws.append(offset - offset % leafBytes)
        }
        draws.sort()
        var last: UInt64?
        draws.removeAll { draw in
            defer { last = draw }
            return draw == last
        }
        return draws
    }

    /// What all draws follow from; how many there are is not in it.
    private var seed: Digest {
        var writer = ByteWriter()
        writer.raw(Domain.challenge)
        writer.id(beacon)
        writer.id(order)
        writer.id(commitment.root)
        writer.integer(commitment.totalBytes)
        writer.integer(commitment.count)
        writer.id(provider)
        writer.integer(epoch.rawValue)
        return SHA256.digest(writer.bytes)
    }
}
