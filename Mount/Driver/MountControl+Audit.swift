import Auditor
import Control
import Disk
import Primitives
import Proofs
import Reliability
import Volume

extension MountControl {
    func auditNow(
        leaves: Int?,
        report: (Control::AuditResult) -> Void
    ) throws(ControlFailure) -> [Control::AuditResult] {
        do throws(FileSystemError) {
            let results = try engine.auditNow(leaves: leaves.map { UInt32(clamping: $0) })
            return results.sorted { $0.provider < $1.provider }.map { result in
                let shown = Control::AuditResult(result)
                report(shown)
                return shown
            }
        } catch {
            throw ControlFailure(error)
        }
    }

    func auditLog(limit: Int, provider: String?) throws(ControlFailure) -> [AuditRecord] {
        do throws(FileSystemError) {
            return try engine.receipts(limit: limit, provider: provider).map { AuditRecord($0) }
        } catch {
            throw ControlFailure(error)
        }
    }

    func auditExport(
        provider: String?,
        each: (AuditFile) -> Void
    ) throws(ControlFailure) {
        do throws(FileSystemError) {
            for order in try engine.orders(ofProvider: provider) {
                let file = try engine.receiptFile(of: order.id)
                // An order without a receipt has nothing to show yet.
                guard !file.receipts.isEmpty else { continue }
                each(
                    AuditFile(
                        order: order.id.hex,
                        provider: order.terms.provider.hex,
                        json: String(decoding: file.encoded(), as: UTF8.self)
                    )
                )
            }
        } catch {
            throw ControlFailure(error)
        }
    }
}

extension Control::AuditResult {
    fileprivate init(_ result: Auditor::AuditResult) {
        let receipt = result.receipt
        self.init(
            provider: result.provider.hex,
            verdict: "\(result.verdict)",
            reason: result.reason,
            leaves: receipt.verdict.isProof ? UInt64(receipt.leaves) : 0,
            bytes: UInt64(result.proofBytes),
            milliseconds: max(0, receipt.answered.seconds(since: receipt.asked) * 1000)
        )
    }
}

extension AuditRecord {
    fileprivate init(_ receipt: Receipt) {
        self.init(
            order: receipt.order.hex,
            provider: receipt.provider.hex,
            number: receipt.number,
            epoch: receipt.epoch.rawValue,
            at: receipt.answered.text,
            verdict: "\(receipt.verdict)",
            reason: receipt.reason,
            leaves: UInt64(receipt.leaves),
            provedByteSeconds: Double(receipt.provedByteSeconds)
        )
    }
}

extension VolumeStatus {
    /// What the custodian says of the volume and its providers.
    mutating func fill(from custody: CustodyStatus, at now: Timestamp) {
        epoch = custody.epoch?.rawValue
        epochSeconds = custody.epochSeconds
        lastProof = custody.lastProofOfAll?.text
        lastProofAgeSeconds = custody.lastProofOfAll.map { max(0, now.seconds(since: $0)) }
        worstStripes = custody.worstStripes.prefix(Self.worstStripesMax).map { stripe in
            Stripe(
                stripe: stripe.id.short,
                healthy: stripe.healthy,
                n: stripe.n,
                lossProbability: stripe.lossProbability
            )
        }
        repairsPending = UInt64(clamping: custody.repairsPending)
        repairsDone = custody.repairsDone
        repairedBytes = custody.repairedBytes
        spareShards = UInt64(clamping: custody.spares)
        auditError = custody.remarks.isEmpty ? nil : custody.remarks.joined(separator: "; ")
        for provider in custody.providers {
            guard let index = providers.firstIndex(where: { $0.id == provider.id.hex }) else {
                continue
            }
            providers[index].fill(from: provider, at: now)
        }
    }
}

extension VolumeStatus.Provider {
    fileprivate mutating func fill(from provider: CustodyProvider, at now: Timestamp) {
        isLeaving = provider.isLeaving
        score = provider.score.value
        scoreReasons = provider.score.reasons
        lastVerdict = provider.lastVerdict.map { "\($0)" }
        lastVerdictReason = provider.lastReason.isEmpty ? nil : provider.lastReason
        lastProof = provider.lastProved?.text
        lastProofAgeSeconds = provider.lastProved.map { max(0, now.seconds(since: $0)) }
        shards = UInt64(clamping: provider.shards)
        let lost = min(provider.lostShards, provider.shards)
        provedShards = provider.lastProved == nil ? 0 : UInt64(clamping: provider.shards - lost)
    }
}
