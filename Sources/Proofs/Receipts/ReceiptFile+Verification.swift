package import Primitives
package import Sealing

extension ReceiptFile {
    /// What a file that was believed says.
    package struct Summary: Hashable, Sendable {
        package let volume: VolumeID
        package let owner: PublicKey
        package let provider: NodeID
        /// `nil` without receipts.
        package let auditor: PublicKey?
        /// Whose beacon the challenges follow from; `nil` without one.
        package let keeper: PublicKey?
        /// Epochs of the first and the last receipt.
        package let epochs: ClosedRange<Epoch>?
        /// When the first and the last proof was answered.
        package fileprivate(set) var firstProved: Timestamp?
        package fileprivate(set) var lastProved: Timestamp?
        /// Bytes times seconds that the receipts in this file prove.
        package fileprivate(set) var byteSeconds: UInt128 = 0
        /// Leaves that were drawn and proved.
        package fileprivate(set) var leaves: UInt64 = 0
        package let receipts: Int
        package fileprivate(set) var verdictCounts: [Verdict: Int] = [:]
        /// What else a reader should know, in words.
        package fileprivate(set) var notes: [String] = []
    }

    /// Checks every signature, link and sum, and draws the last proof's challenge again.
    ///
    /// If `keepers` is empty any keeper's beacon will do, and a note says whose it was.
    package func verify(trusting keepers: [PublicKey]) throws(ReceiptFileError) -> Summary {
        try verifyGrants()
        try verifyStates()
        try verifyBeacons(trusting: keepers)
        var epochs: ClosedRange<Epoch>?
        if let first = receipts.first, let last = receipts.last {
            // The links, checked below, say this again with the place.
            guard first.epoch <= last.epoch else {
                throw ReceiptFileError(place: "receipts", reason: "not in the order of epochs")
            }
            epochs = first.epoch...last.epoch
        }
        var summary = Summary(
            volume: terms.volume,
            owner: terms.ownerKey,
            provider: terms.provider,
            auditor: receipts.first?.auditorKey,
            keeper: beacons.first?.keeperKey,
            epochs: epochs,
            receipts: receipts.count
        )
        if keepers.isEmpty, let keeper = beacons.first?.keeperKey {
            summary.notes.append("the beacon is that of keeper \(keeper), whom nobody vouched for")
        }
        try verifyReceipts(&summary)
        try verifyProof(&summary)
        return summary
    }

    private func verifyGrants() throws(ReceiptFileError) {
        for (index, grant) in grants.enumerated() {
            let place = "grants[\(index)]"
            try expect(grant.volume == terms.volume, "\(place).volume", "not that of the terms")
            try expect(
                grant.ownerKey == terms.ownerKey,
                "\(place).ownerKey",
                "not that of the terms"
            )
            try expect(grant.isSignatureValid, "\(place).signature", "not the owner's")
        }
    }

    private func verifyStates() throws(ReceiptFileError) {
        var last: OrderState?
        for (index, state) in states.enumerated() {
            let place = "states[\(index)]"
            do {
                try state.verify(terms: terms, grants: grants)
            } catch {
                throw ReceiptFileError(place: place, reason: "\(error)")
            }
            if let last {
                try expect(
                    last.sequence < state.sequence,
                    "\(place).proposal.sequence",
                    last.sequence == state.sequence
                        ? "the provider signed two states of sequence \(state.sequence)"
                        : "not ascending"
                )
            }
            last = state
        }
    }

    private func verifyBeacons(trusting keepers: [PublicKey]) throws(ReceiptFileError) {
        var last: BeaconBlock?
        for (index, block) in beacons.enumerated() {
            let place = "beacons[\(index)]"
            if let last {
                try expect(
                    block.keeperKey == last.keeperKey,
                    "\(place).keeperKey",
                    "another keeper's than the block before"
                )
                try expect(
                    block.epochSeconds == last.epochSeconds,
                    "\(place).epochSeconds",
                    "not as in the block before"
                )
                try expect(last.epoch < block.epoch, "\(place).epoch", "not ascending")
                try expect(
                    block.previous == last.hash,
                    "\(place).previous",
                    "not the hash of the block before"
                )
            } else {
                try expect(
                    keepers.isEmpty || keepers.contains(block.keeperKey),
                    "\(place).keeperKey",
                    "no keeper that is trusted"
                )
            }
            try expect(block.isSignatureValid, "\(place).signature", "not the keeper's")
            last = block
        }
    }
}

extension ReceiptFile {
    private func verifyReceipts(_ summary: inout Summary) throws(ReceiptFileError) {
        let blocks = Dictionary(beacons.map { ($0.epoch, $0) }) { first, _ in first }
        let commitments = Dictionary(states.map { ($0.sequence, $0.commitment) }) { first, _ in
            first
        }
        var last: Receipt?
        var lastProved: Receipt?
        for (index, receipt) in receipts.enumerated() {
            let place = "receipts[\(index)]"
            try verifyLink(of: receipt, after: last, place, &summary)
            guard let block = blocks[receipt.epoch] else {
                throw ReceiptFileError(
                    place: "\(place).epoch",
                    reason: "no beacon of epoch \(receipt.epoch.rawValue) is in the file"
                )
            }
            try expect(receipt.beacon == block.value, "\(place).beacon", "not that of its epoch")
            try expect(
                commitments[receipt.sequence] == receipt.commitment,
                "\(place).commitment",
                "no state in the file has this sequence and commitment"
            )
            try verifyTimes(of: receipt, block: block, place, &summary)
            try verifyAnswer(receipt, place, &summary)
            try verifySum(of: receipt, lastProved: lastProved, block: block, place, &summary)
            if receipt.verdict.isProof { lastProved = receipt }
            last = receipt
        }
    }

    private func verifyLink(
        of receipt: Receipt,
        after last: Receipt?,
        _ place: String,
        _ summary: inout Summary
    ) throws(ReceiptFileError) {
        try expect(receipt.order == terms.id, "\(place).order", "not the order of the terms")
        try expect(receipt.provider == terms.provider, "\(place).provider", "not that of the terms")
        try expect(receipt.isSignatureValid, "\(place).signature", "not the auditor's")
        try verifyAuditor(of: receipt, place)
        guard let last else {
            if receipt.number > 1 {
                summary.notes.append(
                    "the \(receipt.number - 1) receipts before are not in the file"
                )
            }
            return
        }
        if let field = receipt.breakAfter(last) {
            throw ReceiptFileError(
                place: "\(place).\(field)",
                reason: "does not follow the receipt before"
            )
        }
    }

    private func verifyAuditor(
        of receipt: Receipt,
        _ place: String
    ) throws(ReceiptFileError) {
        guard receipt.auditorKey != terms.ownerKey else { return }
        let auditor = receipt.auditorKey.nodeID
        let isGranted = grants.contains { grant in
            grant.allows(.audit, to: auditor, volume: terms.volume, at: receipt.asked)
        }
        try expect(isGranted, "\(place).auditorKey", "neither the owner's nor of one with a grant")
    }

    /// A challenge cannot be asked before its beacon is made; a clock may be an epoch off.
    private func verifyTimes(
        of receipt: Receipt,
        block: BeaconBlock,
        _ place: String,
        _ summary: inout Summary
    ) throws(ReceiptFileError) {
        let asked = BeaconBlock.epoch(at: receipt.asked, seconds: block.epochSeconds).rawValue
        let epoch = receipt.epoch.rawValue
        try expect(asked >= epoch || epoch - asked <= 1, "\(place).asked", "before its epoch")
        if asked > epoch, asked - epoch > Receipt.epochsMax {
            summary.notes.append(
                "receipt \(receipt.number) was asked \(asked - epoch) epochs after its beacon"
            )
        }
    }

    /// Whatever a provider is said to have answered it must have signed; a forgery it may not have.
    private func verifyAnswer(
        _ receipt: Receipt,
        _ place: String,
        _ summary: inout Summary
    ) throws(ReceiptFileError) {
        guard receipt.hasProof else { return }
        // A state that the receipt names is there, and all are signed with the provider's key.
        guard let key = states.first?.providerKey else { return }
        let isSigned = Proof.isValid(
            signature: receipt.proofSignature,
            of: key,
            over: receipt.challenge,
            hash: receipt.proofHash
        )
        guard receipt.verdict == .forged else {
            return try expect(isSigned, "\(place).proofSignature", "not the provider's")
        }
        if isSigned {
            summary.notes.append("the provider signed the forgery of receipt \(receipt.number)")
        }
    }

    private func verifySum(
        of receipt: Receipt,
        lastProved: Receipt?,
        block: BeaconBlock,
        _ place: String,
        _ summary: inout Summary
    ) throws(ReceiptFileError) {
        summary.verdictCounts[receipt.verdict, default: 0] += 1
        if receipt.number == 1 {
            try expect(
                receipt.totalByteSeconds == receipt.provedByteSeconds,
                "\(place).totalByteSeconds",
                "not the sum"
            )
        }
        guard receipt.verdict.isProof else { return }
        summary.firstProved = summary.firstProved ?? receipt.answered
        summary.lastProved = receipt.answered
        summary.leaves += UInt64(receipt.leaves)
        if lastProved == nil, receipts.first?.number != 1 {
            // What it was counted from is not in the file.
            return
        }
        let proved = Receipt.byteSeconds(
            of: receipt.commitment,
            provedAt: receipt.answered,
            after: lastProved,
            epochSeconds: block.epochSeconds
        )
        try expect(
            receipt.provedByteSeconds == proved,
            "\(place).provedByteSeconds",
            "\(proved) are proved"
        )
        summary.byteSeconds += proved
    }

    private func verifyProof(_ summary: inout Summary) throws(ReceiptFileError) {
        guard let proof else {
            summary.notes.append(
                "without a proof: the provider's signatures are all there is of it"
            )
            return
        }
        guard let last = receipts.last else {
            throw ReceiptFileError(place: "proof", reason: "there is no receipt of it")
        }
        try expect(proof.hash == last.proofHash, "proof.body", "not what the last receipt is of")
        try expect(
            proof.signature == last.proofSignature,
            "proof.signature",
            "not the one in the last receipt"
        )
        let outcome = Verifier.verify(proof, of: last.challenge)
        let said: Verdict = last.verdict == .slow ? .ok : last.verdict
        guard said != .forged || outcome.verdict != .forged else { return }
        try expect(outcome.verdict != .forged, "proof", outcome.reason)
        try expect(
            said == outcome.verdict,
            "receipts[\(receipts.count - 1)].verdict",
            "the proof shows: \(outcome.verdict)"
        )
    }

    private func expect(
        _ condition: Bool,
        _ place: String,
        _ reason: String
    ) throws(ReceiptFileError) {
        guard condition else { throw ReceiptFileError(place: place, reason: reason) }
    }
}
