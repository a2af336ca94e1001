package import Auditor
package import Primitives
package import Proofs

extension VolumeEngine {
    /// Challenges every provider of the volume and waits for their answers.
    ///
    /// What was placed lately is put under order before.
    ///
    /// `leaves` of 1 KiB each; `nil` asks for as many as of a doubtful one.
    package func auditNow(leaves: UInt32?) throws(FileSystemError) -> [AuditResult] {
        let custody = try needCustody()
        custody.book.flush()
        return try Self.converting { () throws(CustodyError) in
            try custody.custodian.auditNow(leaves: leaves)
        }
    }

    /// The newest receipts of all orders together, at most `limit`, the newest last.
    ///
    /// Of providers whose id begins so in hexadecimal, if it is given.
    package func receipts(
        limit: Int,
        provider prefix: String?
    ) throws(FileSystemError) -> [Receipt] {
        let custody = try needCustody()
        var newest: [Receipt] = []
        for order in try orders(ofProvider: prefix) {
            newest += try Self.converting { () throws(CustodyError) in
                try custody.book.receipts(of: order.id, limit: limit)
            }
            newest.sort { ($0.answered, $0.number) < ($1.answered, $1.number) }
            newest.removeFirst(max(0, newest.count - limit))
        }
        return newest
    }

    /// Orders of the volume, lost ones too, for their receipts.
    ///
    /// - Throws: `notFound` if no provider's id begins so.
    package func orders(ofProvider prefix: String?) throws(FileSystemError) -> [CustodyOrder] {
        let custody = try needCustody()
        let orders = try Self.converting { () throws(CustodyError) in try custody.book.orders() }
        guard let prefix else { return orders }
        let found = orders.filter { $0.terms.provider.hex.hasPrefix(prefix) }
        guard !found.isEmpty else {
            throw FileSystemError(.notFound, "no provider of this volume has the id \(prefix)…")
        }
        return found
    }

    /// All that a third party needs to check an order's receipts.
    package func receiptFile(of order: OrderID) throws(FileSystemError) -> ReceiptFile {
        let custody = try needCustody()
        return try Self.converting { () throws(CustodyError) in
            try custody.book.receiptFile(order: order)
        }
    }

    private func needCustody() throws(FileSystemError) -> VolumeCustody {
        guard let custody else {
            throw FileSystemError(.notSupported, "nobody looks after this volume's shards")
        }
        return custody
    }

    private static func converting<Value>(
        _ body: () throws(CustodyError) -> Value
    ) throws(FileSystemError) -> Value {
        do throws(CustodyError) {
            return try body()
        } catch {
            let code: FileSystemError.Code =
                switch error.code {
                case .storage: .inputOutput
                case .noBeacon, .unavailable, .noPlace: .unavailable
                case .notFound: .notFound
                case .cancelled: .invalid
                case .notAllowed: .notPermitted
                }
            throw FileSystemError(code, error.message)
        }
    }
}
