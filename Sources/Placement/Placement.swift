import Glibc
package import Primitives
import Sealing

/// Who holds which shard: weighted rendezvous hashing (Schindelhauer and Schomaker, 2005).
///
/// For a stripe every candidate has a score of its own, -weight / ln(h), where h in (0, 1) comes
/// from hashing stripe and candidate; the highest scores win. So a candidate's share is in
/// proportion to its weight, and its coming or going moves no shard between others.
package enum Placement {
    /// Picks `count` providers for shards of a stripe, best first.
    ///
    /// Each holds at most one shard of the stripe, has room for `shardBytes`, and no failure domain
    /// gets more than `code.m` shards, those of `holding` counted: losing a whole domain loses
    /// nothing.
    ///
    /// - Throws: `tooFew` if the rules leave fewer than `count`.
    package static func choose(
        _ count: Int,
        shardBytes: Int,
        code: ErasureCode,
        stripe: StripeID,
        from candidates: [Candidate],
        holding: [Candidate]
    ) throws(PlacementError) -> [Candidate] {
        precondition(count >= 0 && shardBytes >= 0)
        var taken = Set(holding.map(\.id))
        var perDomain: [String: Int] = [:]
        for holder in holding { perDomain[holder.domain, default: 0] += 1 }
        var chosen: [Candidate] = []
        var full = 0
        var capped = 0
        for candidate in ranked(candidates, for: stripe) where chosen.count < count {
            guard !taken.contains(candidate.id) else { continue }
            guard candidate.freeBytes >= UInt64(shardBytes) else {
                full += 1
                continue
            }
            guard perDomain[candidate.domain, default: 0] < code.m else {
                capped += 1
                continue
            }
            taken.insert(candidate.id)
            perDomain[candidate.domain, default: 0] += 1
            chosen.append(candidate)
        }
        guard chosen.count == count else {
            let reason = reason(
                code: code,
                candidates: Set(candidates.map(\.id)).count,
                full: full,
                capped: capped
            )
            throw .tooFew(needed: count, available: chosen.count, reason: reason)
        }
        return chosen
    }

    /// Candidates that can win, highest score first; ids break ties.
    private static func ranked(_ candidates: [Candidate], for stripe: StripeID) -> [Candidate] {
        let stripeBytes = stripe.bytes
        return
            candidates
            .filter { $0.weight > 0 }
            .map { (score: score(of: $0, stripeBytes), candidate: $0) }
            .sorted { ($0.score, $1.candidate.id) > ($1.score, $0.candidate.id) }
            .map(\.candidate)
    }

    /// Stripe ids are random and secret, so a hash that is not cryptographic cannot be played.
    private static func score(of candidate: Candidate, _ stripeBytes: [UInt8]) -> Double {
        let hash = XXH3.hash64(stripeBytes + candidate.id.bytes)
        // The upper 53 bits and a half: evenly spread, never 0 nor 1.
        let h = (Double(hash >> 11) + 0.5) * 0x1p-53
        return -candidate.weight / log(h)
    }

    private static func reason(
        code: ErasureCode,
        candidates: Int,
        full: Int,
        capped: Int
    ) -> String {
        var parts = ["\(candidates) providers are known"]
        if full > 0 { parts.append("\(full) have no room") }
        if capped > 0 {
            parts.append(
                "\(capped) are in failure domains that hold \(code.m) shards, the most for"
                    + " \(code)"
            )
        }
        let advice =
            capped > 0
            ? "add providers in other domains" : full > 0 ? "add capacity" : "add providers"
        return parts.joined(separator: ", ") + "; " + advice
    }
}
