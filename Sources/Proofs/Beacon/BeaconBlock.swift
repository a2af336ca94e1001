package import Primitives
package import Sealing
package import Wire

/// A keeper's word for one epoch: nobody without its key can tell it beforehand.
///
/// An Ed25519 signature is deterministic, so one epoch after one history has one value. Epochs in
/// which the keeper was off have no block; the chain links over them.
package struct BeaconBlock: Hashable, Message {
    package let keeperKey: PublicKey
    package let epoch: Epoch
    /// 1 or more.
    package let epochSeconds: UInt32
    /// Of the block before; zeros in the first.
    package let previous: Digest
    package let signature: [UInt8]

    /// The block for `epoch` after `previous`, the keeper's newest.
    package static func next(
        after previous: BeaconBlock?,
        epoch: Epoch,
        epochSeconds: UInt32,
        signedBy keeper: SigningKey
    ) throws(ProofError) -> BeaconBlock {
        guard epochSeconds > 0 else { throw .badBeacon("an epoch of no seconds") }
        if let previous {
            guard previous.epoch < epoch else {
                throw .badBeacon("epoch \(epoch.rawValue) is not after \(previous.epoch.rawValue)")
            }
            guard previous.epochSeconds == epochSeconds, previous.keeperKey == keeper.publicKey
            else { throw .badBeacon("another chain's block came before") }
        }
        let link = previous?.hash ?? .zero
        let fields = fields(keeper.publicKey, epoch, epochSeconds, link)
        do {
            return BeaconBlock(
                keeperKey: keeper.publicKey,
                epoch: epoch,
                epochSeconds: epochSeconds,
                previous: link,
                signature: try keeper.signature(of: Domain.beaconBlock + fields)
            )
        } catch {
            throw .signing(error)
        }
    }

    private init(
        keeperKey: PublicKey,
        epoch: Epoch,
        epochSeconds: UInt32,
        previous: Digest,
        signature: [UInt8]
    ) {
        self.keeperKey = keeperKey
        self.epoch = epoch
        self.epochSeconds = epochSeconds
        self.previous = previous
        self.signature = signature
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        keeperKey = try reader.publicKey()
        epoch = Epoch(try reader.integer())
        epochSeconds = try reader.integer()
        guard epochSeconds > 0 else {
            throw .invalid(field: "epoch seconds", reason: "0")
        }
        previous = try reader.id()
        signature = try reader.signature()
    }

    package func write(to writer: inout ByteWriter) {
        writer.raw(Self.fields(keeperKey, epoch, epochSeconds, previous))
        writer.raw(signature)
    }

    /// What challenges of the epoch are drawn from.
    package var value: Digest { SHA256.digest(Domain.beacon + signature) }

    /// What the next block links to.
    package var hash: Digest { SHA256.digest(encoded) }

    package var isSignatureValid: Bool {
        let fields = Self.fields(keeperKey, epoch, epochSeconds, previous)
        return keeperKey.isValid(signature: signature, of: Domain.beaconBlock + fields)
    }

    /// Whether this is the block right after `block` in one keeper's chain, and signed.
    package func follows(_ block: BeaconBlock) -> Bool {
        keeperKey == block.keeperKey && epochSeconds == block.epochSeconds && block.epoch < epoch
            && previous == block.hash && isSignatureValid
    }

    /// The epoch that `time` is in: whole spans of `seconds` since 1970; 0 before that.
    package static func epoch(at time: Timestamp, seconds: UInt32) -> Epoch {
        Epoch(UInt64(max(time.seconds, 0)) / UInt64(max(seconds, 1)))
    }

    /// The bytes that are signed, in the order of the encoding.
    private static func fields(
        _ keeperKey: PublicKey,
        _ epoch: Epoch,
        _ epochSeconds: UInt32,
        _ previous: Digest
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(keeperKey.bytes)
        writer.integer(epoch.rawValue)
        writer.integer(epochSeconds)
        writer.id(previous)
        return writer.bytes
    }
}
