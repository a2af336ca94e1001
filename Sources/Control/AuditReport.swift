/// What an audit of one provider showed.
package struct AuditResult: Codable, Hashable, Sendable {
    /// Hexadecimal.
    package var provider: String
    /// `ok`, `slow`, `unreachable`, `missing`, `corrupt` or `forged`.
    package var verdict: String
    /// In plain words; empty if all was well.
    package var reason: String
    /// Leaves of 1 KiB that were proved.
    package var leaves: UInt64
    /// Bytes of the proof.
    package var bytes: UInt64
    /// From the challenge to the answer.
    package var milliseconds: Double

    package init(
        provider: String,
        verdict: String,
        reason: String,
        leaves: UInt64,
        bytes: UInt64,
        milliseconds: Double
    ) {
        self.provider = provider
        self.verdict = verdict
        self.reason = reason
        self.leaves = leaves
        self.bytes = bytes
        self.milliseconds = milliseconds
    }
}

/// A receipt as people read it.
package struct AuditRecord: Codable, Hashable, Sendable {
    /// Hexadecimal, as is `provider`.
    package var order: String
    package var provider: String
    /// Its place in the order's chain, from 0.
    package var number: UInt64
    package var epoch: UInt64
    /// When the challenge was answered or given up: RFC 3339.
    package var at: String
    package var verdict: String
    package var reason: String
    /// Leaves of 1 KiB that were asked for.
    package var leaves: UInt64
    /// Bytes held times seconds, as far as this receipt proves it.
    package var provedByteSeconds: Double

    package init(
        order: String,
        provider: String,
        number: UInt64,
        epoch: UInt64,
        at: String,
        verdict: String,
        reason: String,
        leaves: UInt64,
        provedByteSeconds: Double
    ) {
        self.order = order
        self.provider = provider
        self.number = number
        self.epoch = epoch
        self.at = at
        self.verdict = verdict
        self.reason = reason
        self.leaves = leaves
        self.provedByteSeconds = provedByteSeconds
    }
}

/// The receipts of one order, in the form that `mefs audit verify` checks.
package struct AuditFile: Codable, Hashable, Sendable {
    /// Hexadecimal, as is `provider`.
    package var order: String
    package var provider: String
    /// The file's text.
    package var json: String

    package init(order: String, provider: String, json: String) {
        self.order = order
        self.provider = provider
        self.json = json
    }
}
