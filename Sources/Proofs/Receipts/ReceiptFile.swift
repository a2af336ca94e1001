package import Primitives
package import Sealing

/// Why a receipt file is not believed.
package struct ReceiptFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where in the file, as `receipts[3].previous`.
    package let place: String
    package let reason: String

    package var description: String { "\(place): \(reason)" }
}

/// All that a third party needs to check what an auditor says of an order, as one JSON file.
package struct ReceiptFile: Hashable, Sendable {
    package let terms: OrderTerms
    package let states: [OrderState]
    package let grants: [Grant]
    package let beacons: [BeaconBlock]
    package let receipts: [Receipt]
    /// The one of the last receipt.
    package let proof: Proof?

    package init(
        terms: OrderTerms,
        states: [OrderState],
        grants: [Grant],
        beacons: [BeaconBlock],
        receipts: [Receipt],
        proof: Proof?
    ) {
        self.terms = terms
        self.states = states
        self.grants = grants
        self.beacons = beacons
        self.receipts = receipts
        self.proof = proof
    }
}

extension ReceiptFile {
    /// What a file that was believed says.
    package struct Summary: Hashable, Sendable {
        package let volume: VolumeID
        package let owner: PublicKey
        package let provider: NodeID
        package let auditor: PublicKey
        /// Whose beacon the challenges follow from; `nil` without receipts.
        package let keeper: PublicKey?
        package let firstEpoch: Epoch?
        package let lastEpoch: Epoch?
        /// When the first and the last proof was answered.
        package let firstProved: Timestamp?
        package let lastProved: Timestamp?
        /// Proved bytes times seconds.
        package let byteSeconds: UInt128
        /// Leaves that were drawn and proved.
        package let leaves: UInt64
        package let receipts: Int
        package let verdictCounts: [Verdict: Int]
        /// What else a reader should know, in words.
        package let notes: [String]
    }

    /// Reads a file; nothing in it is believed before `verify`.
    package init(parsing json: [UInt8]) throws(ReceiptFileError) {
        throw ReceiptFileError(place: "file", reason: "")
    }

    /// The file.
    package func encoded() -> [UInt8] { [] }

    /// Checks every signature, link and sum, and draws the last proof's challenge again.
    ///
    /// If `keepers` is empty any keeper's beacon will do, and a note says whose it was.
    package func verify(trusting keepers: [PublicKey]) throws(ReceiptFileError) -> Summary {
        throw ReceiptFileError(place: "file", reason: "")
    }
}
