import Wire

/// Why a receipt file is not believed.
package struct ReceiptFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where in the file, as `receipts[3].previous`.
    package let place: String
    package let reason: String

    package var description: String { "\(place): \(reason)" }
}

/// All that a third party needs to check what an auditor says of an order, as one JSON file.
///
/// It has no field that is not part of a signed document, so that none can be changed unseen.
package struct ReceiptFile: Hashable, Sendable {
    package let terms: OrderTerms
    /// By sequence, ascending; every state that a receipt names.
    package let states: [OrderState]
    package let grants: [Grant]
    /// One chain without gaps, with the block of each receipt's epoch.
    package let beacons: [BeaconBlock]
    /// By number, ascending and without gaps.
    package let receipts: [Receipt]
    /// The one of the last receipt.
    package let proof: Proof?

    /// Items of each list.
    package static let itemsMax = 1 << 16
    private static let format = "mefs-receipts/1"

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

    /// Reads a file; nothing in it is believed before `verify`.
    package init(parsing json: [UInt8]) throws(ReceiptFileError) {
        guard case .object(let file) = try JSONValue(parsing: json) else {
            throw ReceiptFileError(place: "file", reason: "not an object")
        }
        let names = ["format", "terms", "states", "grants", "beacons", "receipts", "proof"]
        for name in names where file[name] == nil {
            throw ReceiptFileError(place: name, reason: "missing")
        }
        if let unknown = file.keys.filter({ !names.contains($0) }).min() {
            throw ReceiptFileError(place: unknown.printable, reason: "unknown field")
        }
        guard file["format"] == .string(Self.format) else {
            throw ReceiptFileError(place: "format", reason: "not \(Self.format)")
        }
        terms = try Self.read(file["terms"] ?? .null, as: JSONField.terms, at: "terms")
        states = try Self.list(file["states"], as: JSONField.state, at: "states")
        grants = try Self.list(file["grants"], as: JSONField.grant, at: "grants")
        beacons = try Self.list(file["beacons"], as: JSONField.beacon, at: "beacons")
        receipts = try Self.list(file["receipts"], as: JSONField.receipt, at: "receipts")
        switch file["proof"] {
        case .null: proof = nil
        case let value: proof = try Self.read(value ?? .null, as: JSONField.proof, at: "proof")
        }
    }

    /// The file.
    package func encoded() -> [UInt8] {
        let proof = proof.map { JSONField.proof.text(of: $0.encoded, indent: "  ") } ?? "null"
        let fields = [
            ("format", "\"\(Self.format)\""),
            ("terms", JSONField.terms.text(of: terms.encoded, indent: "  ")),
            ("states", Self.text(of: states, as: JSONField.state)),
            ("grants", Self.text(of: grants, as: JSONField.grant)),
            ("beacons", Self.text(of: beacons, as: JSONField.beacon)),
            ("receipts", Self.text(of: receipts, as: JSONField.receipt)),
            ("proof", proof),
        ]
        let lines = fields.map { "  \"\($0)\": \($1)" }
        return Array("{\n\(lines.joined(separator: ",\n"))\n}\n".utf8)
    }

    private static func list<Item: Message>(
        _ value: JSONValue?,
        as fields: [JSONField],
        at place: String
    ) throws(ReceiptFileError) -> [Item] {
        guard case .array(let values) = value, values.count <= itemsMax else {
            throw ReceiptFileError(place: place, reason: "not a list of at most \(itemsMax)")
        }
        var items: [Item] = []
        for (index, value) in values.enumerated() {
            items.append(try read(value, as: fields, at: "\(place)[\(index)]"))
        }
        return items
    }

    private static func read<Item: Message>(
        _ value: JSONValue,
        as fields: [JSONField],
        at place: String
    ) throws(ReceiptFileError) -> Item {
        let bytes = try fields.encoding(of: value, at: place)
        do {
            return try Item(decoding: bytes)
        } catch {
            throw ReceiptFileError(place: place, reason: "\(error)")
        }
    }

    private static func text(of items: [some Message], as fields: [JSONField]) -> String {
        guard !items.isEmpty else { return "[]" }
        let texts = items.map { "    " + fields.text(of: $0.encoded, indent: "    ") }
        return "[\n\(texts.joined(separator: ",\n"))\n  ]"
    }
}
