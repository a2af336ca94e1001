import Primitives
import Proofs
package import Wire

/// The stored form, version 1; drawn in docs/reliability.md.
extension ProviderHistory: Message {
    private static let version: UInt8 = 1

    package func write(to writer: inout ByteWriter) {
        writer.integer(Self.version)
        writer.timestamp(firstSeen)
        writer.timestamp(lastSeen)
        writer.timestamp(clock)
        for time in [downSince, lastProof, accusedAt, forgedAt] { writer.optionalTimestamp(time) }
        writer.integer(UInt8(isUp.map { $0 ? 1 : 0 } ?? 2))
        for window in [hour, day, month] {
            writer.real(window.up)
            writer.real(window.known)
        }
        for value in [
            upSeconds, outages, outageSeconds, provenSeconds, leafCredit, damage, admitted, forgery,
            cleanSeconds, readsGood, readsFailed,
        ] { writer.real(value) }
        for verdict in Verdict.allCases { writer.integer(audits[verdict]) }
        for count in [provedLeaves, lostShards, refetchedShards, outstandingShards] {
            writer.integer(count)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        let version = try reader.integer(UInt8.self)
        guard version == Self.version else { throw .unsupportedVersion(UInt64(version)) }
        self.init(firstSeen: try reader.timestamp())
        lastSeen = try reader.timestamp()
        clock = try reader.timestamp()
        downSince = try reader.optionalTimestamp("down since")
        lastProof = try reader.optionalTimestamp("last proof")
        accusedAt = try reader.optionalTimestamp("accused")
        forgedAt = try reader.optionalTimestamp("forged")
        switch try reader.integer(UInt8.self) {
        case 0: isUp = false
        case 1: isUp = true
        case 2: isUp = nil
        case let other: throw .invalid(field: "up", reason: "\(other)")
        }
        hour = try reader.window(span: Span.hour)
        day = try reader.window(span: Span.day)
        month = try reader.window(span: Span.month)
        let century = 100 * Span.year
        upSeconds = try reader.real("seconds up", limit: century)
        outages = try reader.real("outages", limit: Self.outagesMax)
        outageSeconds = try reader.real("seconds of outages", limit: century)
        provenSeconds = try reader.real("seconds proved", limit: century)
        leafCredit = try reader.real("leaf credit", limit: century)
        damage = try reader.real("damage", limit: Self.damageMax)
        admitted = try reader.real("damage admitted", limit: Self.damageMax)
        forgery = try reader.real("forgery", limit: Self.damageMax)
        cleanSeconds = try reader.real("clean seconds", limit: Self.forgeryCleanSeconds)
        readsGood = try reader.real("reads", limit: Self.readsMax)
        readsFailed = try reader.real("reads failed", limit: Self.readsMax)
        for verdict in Verdict.allCases { audits[verdict] = try reader.integer() }
        provedLeaves = try reader.integer()
        lostShards = try reader.integer()
        refetchedShards = try reader.integer()
        outstandingShards = try reader.integer()
    }
}

extension ByteWriter {
    /// A number as the 64 bits of IEEE 754.
    mutating func real(_ value: Double) {
        integer(value.bitPattern)
    }

    mutating func optionalTimestamp(_ time: Timestamp?) {
        boolean(time != nil)
        timestamp(time ?? .epoch)
    }
}

extension ByteReader {
    /// A number in 0...limit.
    mutating func real(_ field: String, limit: Double) throws(DecodeError) -> Double {
        let value = Double(bitPattern: try integer())
        // -0 is refused too, so that a value has one form only.
        guard value >= 0, value <= limit, value.sign == .plus else {
            throw .invalid(field: field, reason: "\(value) is not in 0...\(limit)")
        }
        return value
    }

    mutating func optionalTimestamp(_ field: String) throws(DecodeError) -> Timestamp? {
        let isThere = try boolean(field)
        let time = try timestamp()
        guard isThere || time == .epoch else {
            throw .invalid(field: field, reason: "absent, and yet a time")
        }
        return isThere ? time : nil
    }

    fileprivate mutating func window(span: Double) throws(DecodeError) -> UptimeWindow {
        var window = UptimeWindow(span: span)
        window.up = try real("seconds up", limit: span)
        window.known = try real("seconds known", limit: span)
        guard window.up <= window.known else {
            throw .invalid(field: "seconds up", reason: "more than are known")
        }
        return window
    }
}
