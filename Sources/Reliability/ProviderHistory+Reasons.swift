import Glibc
import Primitives
import Proofs

/// A score's reasons in plain words.
extension ProviderHistory {
    /// The weightiest first; each with the numbers behind it.
    func reasons(offline: Double, gone: Double, yearlyLoss: Double, ramp: Double) -> [String] {
        var reasons: [String] = []
        if forgedAt != nil {
            let rest = max(0, Self.forgeryCleanSeconds - cleanSeconds)
            reasons.append(
                "sent \(Words.count(audits[.forged], "proof")) that did not hold"
                    + ago(forgedAt) + ": trusted with nothing new until \(Words.span(rest)) more"
                    + " of clean audits"
            )
        }
        if offline > 0 {
            reasons.append(
                "offline for \(Words.span(offline)); \(Words.percent(gone)) that it never returns"
            )
        }
        if audits[.missing] + audits[.corrupt] > 0, damage > 0.001 {
            reasons.append(
                "answered \(audits[.missing]) times that data is missing and \(audits[.corrupt])"
                    + " times that it is corrupt" + ago(accusedAt)
            )
        }
        if lostShards > 0 {
            reasons.append(
                "lost \(Words.count(lostShards, "shard")), of which it fetched"
                    + " \(refetchedShards) again"
            )
        }
        if readsFailed > 0.5 {
            reasons.append(
                "\(Words.decimal(readsFailed, 0)) of"
                    + " \(Words.decimal(readsGood + readsFailed, 0)) reads failed lately"
            )
        }
        if ramp < 1 {
            reasons.append(
                "new: known to be up for \(Words.span(upSeconds)); gets \(Words.percent(ramp))"
                    + " of its share, all of it after \(Words.span(Score.rampSeconds))"
            )
        }
        reasons += uptimeReasons
        reasons.append(
            provedLeaves == 0
                ? "has proved nothing yet"
                : "proved \(Words.count(provedLeaves, "leaf", "leaves")) in"
                    + " \(Words.count(audits[.ok].addingSaturated(audits[.slow]), "audit"))"
                    + (audits[.slow] > 0 ? ", \(audits[.slow]) of them late" : "")
        )
        reasons.append("\(Words.percent(yearlyLoss)) a year that it loses everything")
        return reasons
    }

    private var uptimeReasons: [String] {
        guard month.known > 0 else { return ["nothing is known of its uptime"] }
        let windows = [("hour", hour), ("day", day), ("30 days", month)]
        let parts = windows.filter { $0.1.known > 0 }.map { name, window in
            "\(Words.percent(window.up / window.known)) of the last \(name)"
        }
        return ["up " + parts.joined(separator: ", ")]
    }

    private func ago(_ time: Timestamp?) -> String {
        time.map { ", the last one \(Words.span(clock.secondsElapsed(since: $0))) ago" } ?? ""
    }
}

/// Numbers as people read them.
enum Words {
    static func count(_ count: UInt64, _ one: String, _ many: String? = nil) -> String {
        count == 1 ? "1 \(one)" : "\(count) \(many ?? one + "s")"
    }

    /// "12.3 %", with more digits where they matter: "0.04 %", "99.97 %".
    static func percent(_ share: Double) -> String {
        let value = share.clampedToUnit(ifNaN: 1) * 100
        let edge = min(value, 100 - value)
        let digits = edge == 0 || edge >= 10 ? 0 : edge >= 1 ? 1 : edge >= 0.1 ? 2 : 3
        return decimal(value, digits) + " %"
    }

    /// The two largest units of a length of time: "3 d 4 h", "12 min", "40 s".
    static func span(_ seconds: Double) -> String {
        let total = seconds.isFinite ? Int64(min(max(0, seconds), 1e12)) : 0
        let units: [(Int64, String)] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")]
        guard let first = units.firstIndex(where: { total >= $0.0 }) else { return "0 s" }
        let (large, name) = units[first]
        let text = "\(total / large) \(name)"
        guard first + 1 < units.count, total / large < 10 else { return text }
        let (small, smallName) = units[first + 1]
        let rest = total % large / small
        return rest == 0 ? text : "\(text) \(rest) \(smallName)"
    }

    /// `value` with `digits` decimals, for values of a sensible size.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        let power = pow(10.0, Double(digits))
        let scaled = (value * power).rounded()
        guard scaled.magnitude < 1e15 else { return "\(value)" }
        let whole = Int64(scaled.magnitude) / Int64(power)
        let part = Int64(scaled.magnitude) % Int64(power)
        let sign = scaled < 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let text = String(part)
        return "\(sign)\(whole)." + String(repeating: "0", count: digits - text.count) + text
    }
}
