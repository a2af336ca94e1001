import Primitives

/// Heads, and which stripes they need.
extension MetadataState {
    /// Notes that a head is placed: its parts are where it says, and what it replaces is not needed
    /// by it.
    func complete(_ checkpoint: NewCheckpoint) throws(FileSystemError) {
        var placed: [Stripe] = []
        for id in checkpoint.stripes {
            let stripe = try stripe(id)
            guard stripe.row.state == .placing else {
                throw FileSystemError(.invalid, "stripe \(id) is not being placed")
            }
            placed.append(stripe)
        }
        // Into memory, so that nothing below can fail halfway.
        for part in checkpoint.replaced { try stripe(holding: part.location) }

        for stripe in placed {
            stripe.row.born = checkpoint.version
            setState(of: stripe, to: .placed)
            markDirty(stripe)
        }
        for part in checkpoint.parts { addLive(part.location) }
        for part in checkpoint.replaced { dropLive(part.location, since: checkpoint.version) }
        let removed = Set(checkpoint.replaced.map(\.piece))
        changes.removedPieces.formUnion(removed)
        changes.checkpointParts.removeAll { removed.contains($0.piece) }
        changes.checkpointParts += checkpoint.parts
        changes.head = checkpoint.head
        setNumber(MetaKey.headBehind, Int64(checkpoint.behind))
        if let snapshot = checkpoint.snapshot {
            changes.snapshots[snapshot.version] = .put(snapshot)
        }
        changes.operations += 1
    }

    /// Gives up stripes that neither the volume nor any head needs.
    func give(up ids: [StripeID]) throws(FileSystemError) {
        var found: [Stripe] = []
        for id in ids {
            do {
                found.append(try stripe(id))
            } catch  where error.code == .notFound {
                continue
            }
        }
        for stripe in found where stripe.row.state == .placed && stripe.row.liveBlocks <= 0 {
            setState(of: stripe, to: .dead)
            markDirty(stripe)
        }
        changes.operations += 1
    }

    func putSnapshot(_ row: SnapshotRow) {
        changes.snapshots[row.version] = .put(row)
        changes.operations += 1
    }

    func removeSnapshot(_ version: UInt64) {
        changes.snapshots[version] = .remove
        changes.operations += 1
    }
}
