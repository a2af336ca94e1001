import Logging
import Network
import Primitives
import Proofs
import Reliability
import SQLite
import Sealing
import Transport
import Wire

/// What owners and other keepers report of orders: the newest state of each, and the audits that
/// go into the histories of providers.
final class CustodyRegister: Sendable {
    /// The most orders: 100 volumes with all of 1,000 providers; about 1 KiB each.
    private static let ordersMax = 100_000
    /// Auditors of one order: its owner, and keepers.
    private static let auditorsMax = 16
    /// An order unheard of for so long gives way when there are too many: 30 days.
    private static let forgetAfter: Int64 = 30 * 86_400
    /// Audits older than so many seconds are not news any more.
    private static let sampleSecondsMax: Double = 86_400

    private let database: KeeperDatabase
    private let histories: ProviderHistories
    private let logger: Logger

    init(database: KeeperDatabase, histories: ProviderHistories, logger: Logger) {
        self.database = database
        self.histories = histories
        self.logger = logger
    }

    /// Takes a report.
    ///
    /// Audits of the keeper itself (`isOwn`) count as they are. Of others' a `forged` counts as
    /// `missing`, since the answer that would show it is not here: one owner must not be able to
    /// take a provider away from all. Two states of one sequence are shown by the provider's own
    /// signatures, and count as `forged` whoever brings them.
    func take(
        _ report: ReportCustody,
        from peer: NodeID,
        isOwn: Bool = false,
        now: Timestamp
    ) throws {
        if !isOwn { try checkRights(of: peer, report, now: now) }
        try check(report, from: peer)
        let id = report.terms.id
        let provider = report.terms.provider
        guard histories.firstSeen(provider) != nil else {
            throw NetworkError(.notFound, "provider \(provider.short) is not known here")
        }
        try database.transaction { database in
            var samples: [ProviderHistories.Sample] = []
            if try keep(report, id, now: now, in: database) {
                logger.warning(
                    """
                    provider \(provider.short) signed two states of sequence \
                    \(report.state.sequence) of order \(id.short)
                    """
                )
                samples.append(ProviderHistories.Sample(verdict: .forged, leaves: 0))
            }
            for receipt in try news(of: report, id, peer, in: database)
            where abs(now.seconds(since: receipt.answered)) < Self.sampleSecondsMax {
                samples.append(Self.sample(receipt, isOwn: isOwn))
            }
            guard !samples.isEmpty, let history = histories.note(samples, of: provider, now: now)
            else { return }
            try database.execute(
                "INSERT OR REPLACE INTO histories VALUES (?, ?)",
                .blob(provider.bytes),
                .blob(history)
            )
        }
    }

    // MARK: Checks

    private func checkRights(
        of peer: NodeID,
        _ report: ReportCustody,
        now: Timestamp
    ) throws {
        let (terms, grant) = (report.terms, report.grant)
        let isOwner = terms.ownerKey.nodeID == peer
        let isGrantee =
            grant.map { grant in
                grant.ownerKey == terms.ownerKey
                    && grant.allows(.audit, to: peer, volume: terms.volume, at: now)
            } ?? false
        guard isOwner || isGrantee else {
            throw NetworkError(
                .unauthorized,
                "order \(terms.id.short) is not yours, and no grant lets you audit it"
            )
        }
    }

    private func check(_ report: ReportCustody, from peer: NodeID) throws {
        let (terms, grant) = (report.terms, report.grant)
        do throws(OrderError) {
            try report.state.verify(terms: terms, grants: grant.map { [$0] } ?? [])
        } catch {
            throw NetworkError(.malformed, "the state of order \(terms.id.short): \(error)")
        }
        for receipt in report.receipts { try check(receipt, report, peer) }
    }

    private func check(_ receipt: Receipt, _ report: ReportCustody, _ peer: NodeID) throws {
        let name = "receipt \(receipt.number) of order \(report.terms.id.short)"
        guard receipt.order == report.terms.id, receipt.provider == report.terms.provider else {
            throw NetworkError(.malformed, "\(name) is of another order")
        }
        guard receipt.auditorKey.nodeID == peer, receipt.isSignatureValid else {
            throw NetworkError(.unauthorized, "\(name) is not signed by you")
        }
        guard receipt.hasProof else { return }
        let isAnswered = Proof.isValid(
            signature: receipt.proofSignature,
            of: report.state.providerKey,
            over: receipt.challenge,
            hash: receipt.proofHash
        )
        // The signature of a forged answer need not hold.
        guard isAnswered || receipt.verdict == .forged else {
            throw NetworkError(.malformed, "\(name) names an answer that the provider did not sign")
        }
    }

    private static func sample(_ receipt: Receipt, isOwn: Bool) -> ProviderHistories.Sample {
        let verdict = receipt.verdict == .forged && !isOwn ? .missing : receipt.verdict
        return ProviderHistories.Sample(
            verdict: verdict,
            leaves: verdict.isProof ? Int(receipt.leaves) : 0
        )
    }

    // MARK: Rows

    /// Keeps the newest state; tells whether the provider signed another one of its sequence.
    private func keep(
        _ report: ReportCustody,
        _ id: OrderID,
        now: Timestamp,
        in database: Database
    ) throws -> Bool {
        let kept = try database.query("SELECT state FROM orders WHERE id = ?", .blob(id.bytes)) {
            $0.blob(0)
        }.first
        var state = report.state
        var isEquivocation = false
        if let kept {
            let kept = try OrderState(decoding: kept)
            isEquivocation =
                kept.sequence == state.sequence && kept.commitment != state.commitment
            if kept.sequence >= state.sequence { state = kept }
            // Known already, and accused for it.
            if isEquivocation, try isAccused(id, in: database) { isEquivocation = false }
        } else {
            try makeRoom(now: now, in: database)
        }
        try database.execute(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)",
            .blob(id.bytes),
            .blob(report.terms.encoded),
            .blob(state.encoded),
            .integer(now.seconds)
        )
        if isEquivocation { try advance(id, Self.accuser, to: 1, in: database) }
        return isEquivocation
    }

    /// In place of an auditor: the provider itself, by two signatures.
    private static let accuser: [UInt8] = []

    private func isAccused(_ id: OrderID, in database: Database) throws -> Bool {
        try number(id, Self.accuser, in: database) > 0
    }

    /// The receipts that were not reported before, ascending; from now on they were.
    private func news(
        of report: ReportCustody,
        _ id: OrderID,
        _ auditor: NodeID,
        in database: Database
    ) throws -> [Receipt] {
        var last = try number(id, auditor.bytes, in: database)
        let isNew = last == 0
        var news: [Receipt] = []
        for receipt in report.receipts where receipt.number > last {
            news.append(receipt)
            last = receipt.number
        }
        guard !news.isEmpty else { return [] }
        if isNew {
            let auditors = try database.integer(
                "SELECT count(*) FROM chains WHERE \"order\" = ?",
                .blob(id.bytes)
            )
            guard auditors < Self.auditorsMax else {
                throw NetworkError(.full, "order \(id.short) has \(auditors) auditors already")
            }
        }
        try advance(id, auditor.bytes, to: last, in: database)
        return news
    }

    private func number(
        _ id: OrderID,
        _ auditor: [UInt8],
        in database: Database
    ) throws -> UInt64 {
        let number = try database.integer(
            "SELECT number FROM chains WHERE \"order\" = ? AND auditor = ?",
            .blob(id.bytes),
            .blob(auditor)
        )
        return UInt64(bitPattern: number)
    }

    private func advance(
        _ id: OrderID,
        _ auditor: [UInt8],
        to number: UInt64,
        in database: Database
    ) throws {
        try database.execute(
            "INSERT OR REPLACE INTO chains VALUES (?, ?, ?)",
            .blob(id.bytes),
            .blob(auditor),
            .integer(Int64(bitPattern: number))
        )
    }

    /// Forgets the order that was not heard of for longest if there are too many.
    private func makeRoom(now: Timestamp, in database: Database) throws {
        let count = try database.integer("SELECT count(*) FROM orders")
        guard count >= Self.ordersMax else { return }
        let oldest = try database.query(
            "SELECT id FROM orders WHERE reported <= ? ORDER BY reported LIMIT 1",
            .integer(now.seconds - Self.forgetAfter)
        ) { $0.blob(0) }.first
        guard let oldest else {
            throw NetworkError(.full, "the keeper knows \(count) orders, the most it can")
        }
        try database.execute("DELETE FROM chains WHERE \"order\" = ?", .blob(oldest))
        try database.execute("DELETE FROM orders WHERE id = ?", .blob(oldest))
    }
}
