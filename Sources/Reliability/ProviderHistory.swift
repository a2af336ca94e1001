import Glibc
package import Primitives
package import Proofs

/// What one observer saw of one provider.
///
/// All of it fades: uptime over an hour, a day and a month, damage over weeks. Times may come in
/// any order and from a clock that jumps; nothing here traps or becomes NaN. The formulas are in
/// docs/reliability.md.
package struct ProviderHistory: Hashable, Sendable {
    /// What was seen is taken to last for so many seconds; longer gaps are unknown time.
    ///
    /// Two epochs of an hour: who is audited once an epoch has no gaps.
    static let gapSecondsMax = 2 * Span.hour
    /// A clock that goes back by more is believed; by less, time stands still meanwhile.
    private static let clockStepMax = Span.hour
    /// Shorter outages, such as restarts, teach nothing about outages.
    private static let outageSecondsMin = 5.0 * 60
    /// Every outage makes the ones before count less by this factor.
    private static let outageFading = 0.95
    /// The most that `outages` can come to: 1 / (1 - outageFading).
    static let outagesMax = 20.0
    /// Damage halves in so many seconds even if nothing is proved.
    private static let damageHalfLife = 14 * Span.day
    /// Damage falls to 1/e with so many proved leaves: 32 an hour for ten days.
    private static let damageLeaves = 7680.0
    /// Leaves that count towards recovery: 460 at once, and so many an hour.
    ///
    /// So that a provider cannot wash itself clean with many small orders in one day.
    private static let leafCreditMax = 460.0
    /// The time constant of proved time as evidence, in seconds.
    private static let provenSpan = 5 * Span.year
    /// Reads count for a day.
    private static let readSpan = Span.day
    /// The most reads that count; a day has no more.
    static let readsMax = 1e12
    /// A forged answer is held against a provider until it passed so much time of clean audits.
    package static let forgeryCleanSeconds = 30 * Span.day
    /// The most that any level of damage comes to; e^-10 is as good as certain.
    static let damageMax = 10.0

    package internal(set) var firstSeen: Timestamp
    /// When it was last seen up.
    package internal(set) var lastSeen: Timestamp
    /// Since when it is offline; `nil` while it is up or nothing is known.
    package internal(set) var downSince: Timestamp?

    /// The latest time noted.
    var clock: Timestamp
    var isUp: Bool?
    var hour = UptimeWindow(span: Span.hour)
    var day = UptimeWindow(span: Span.day)
    var month = UptimeWindow(span: Span.month)
    /// All seconds known to be up, without fading.
    var upSeconds = 0.0
    /// Outages it came back from, fading with each, and their seconds.
    var outages = 0.0
    var outageSeconds = 0.0

    var audits = VerdictCounts()
    var provedLeaves: UInt64 = 0
    /// Seconds between proofs that all was there, fading.
    var provenSeconds = 0.0
    var lastProof: Timestamp?
    var leafCredit = Self.leafCreditMax
    /// Damage found by others, damage it told of itself, forgeries: -ln(1 - probability of loss).
    var damage = 0.0
    var admitted = 0.0
    var forgery = 0.0
    var accusedAt: Timestamp?
    var forgedAt: Timestamp?
    /// Seconds of clean audits since the last accusation.
    var cleanSeconds = 0.0
    var lostShards: UInt64 = 0
    var refetchedShards: UInt64 = 0
    /// Lost shards that were not fetched again.
    var outstandingShards: UInt64 = 0
    var readsGood = 0.0
    var readsFailed = 0.0

    package init(firstSeen: Timestamp) {
        self.firstSeen = firstSeen.bounded
        lastSeen = firstSeen.bounded
        clock = firstSeen.bounded
    }

    /// An audit's verdict, with the leaves it proved.
    package mutating func note(_ verdict: Verdict, leaves: Int, at time: Timestamp) {
        noteSeen(up: verdict != .unreachable, at: time)
        audits.count(verdict)
        switch verdict {
        case .ok, .slow: noteProved(leaves)
        case .unreachable: break
        case .corrupt: accuse(adding: 0.35)
        case .missing: accuse(adding: 0.5)
        case .forged:
            forgery = min(Self.damageMax, forgery + 2)
            forgedAt = clock
            accuse(adding: 0)
        }
    }

    /// Whether it was there: heartbeats, connections that failed.
    package mutating func noteSeen(up: Bool, at time: Timestamp) {
        advance(to: time)
        if up {
            if let since = downSince { noteOutage(clock.secondsElapsed(since: since)) }
            downSince = nil
            lastSeen = clock
        } else if downSince == nil {
            downSince = clock
        }
        isUp = up
    }

    /// A read of a shard's bytes: given as they were put, or not.
    ///
    /// A failed read says nothing about being up; the network may have been full.
    package mutating func noteRead(ok: Bool, at time: Timestamp) {
        if ok {
            noteSeen(up: true, at: time)
            readsGood = min(Self.readsMax, readsGood + 1)
        } else {
            advance(to: time)
            readsFailed = min(Self.readsMax, readsFailed + 1)
        }
    }

    /// Shards that it lost and someone has to rebuild; `selfReported` if it said so itself.
    package mutating func noteRepair(lostShards: Int, selfReported: Bool, at time: Timestamp) {
        advance(to: time)
        guard lostShards > 0 else { return }
        let count = UInt64(lostShards)
        self.lostShards = self.lostShards.addingSaturated(count)
        outstandingShards = outstandingShards.addingSaturated(count)
        let doublings = log2(1 + Double(lostShards))
        if selfReported {
            admitted = min(Self.damageMax, admitted + min(0.1, 0.02 * doublings))
        } else {
            damage = min(Self.damageMax, damage + min(0.3, 0.05 * doublings))
        }
    }

    /// Lost shards that it fetched again at its own cost: most of the blame goes with them.
    package mutating func noteRefetched(shards: Int, at time: Timestamp) {
        advance(to: time)
        guard shards > 0, outstandingShards > 0 else { return }
        let count = min(UInt64(shards), outstandingShards)
        let share = Double(count) / Double(outstandingShards)
        refetchedShards = refetchedShards.addingSaturated(count)
        outstandingShards -= count
        admitted *= 1 - 0.75 * share
        damage *= 1 - 0.5 * share
    }

    private mutating func noteProved(_ leaves: Int) {
        let proved = Double(max(0, leaves))
        provedLeaves = provedLeaves.addingSaturated(UInt64(max(0, leaves)))
        if let last = lastProof {
            let seconds = min(clock.secondsElapsed(since: last), Self.gapSecondsMax)
            provenSeconds += seconds
            cleanSeconds = min(Self.forgeryCleanSeconds, cleanSeconds + seconds)
        }
        lastProof = clock
        let credited = min(proved, leafCredit)
        leafCredit -= credited
        let recovery = exp(-credited / Self.damageLeaves)
        damage *= recovery
        admitted *= recovery
        if cleanSeconds >= Self.forgeryCleanSeconds { forgedAt = nil }
    }

    private mutating func accuse(adding blame: Double) {
        damage = min(Self.damageMax, damage + blame)
        accusedAt = clock
        cleanSeconds = 0
        lastProof = nil
    }

    private mutating func noteOutage(_ seconds: Double) {
        guard seconds >= Self.outageSecondsMin else { return }
        outages = min(Self.outagesMax, outages * Self.outageFading + 1)
        outageSeconds = outageSeconds * Self.outageFading + min(seconds, Span.month)
    }

    /// Lets time pass until `time`: what was seen last goes on for `gapSecondsMax`.
    mutating func advance(to time: Timestamp) {
        let now = time.bounded
        guard now >= clock else {
            if clock.secondsElapsed(since: now) > Self.clockStepMax { goBack(to: now) }
            return
        }
        let elapsed = now.secondsElapsed(since: clock)
        clock = now
        guard elapsed > 0 else { return }
        let credited = isUp == nil ? 0 : min(elapsed, Self.gapSecondsMax)
        let wasUp = isUp ?? false
        hour.pass(elapsed, credited: credited, isUp: wasUp)
        day.pass(elapsed, credited: credited, isUp: wasUp)
        month.pass(elapsed, credited: credited, isUp: wasUp)
        if wasUp { upSeconds = min(100 * Span.year, upSeconds + credited) }
        let fading = exp2(-elapsed / Self.damageHalfLife)
        damage *= fading
        admitted *= fading
        forgery *= fading
        provenSeconds *= exp(-elapsed / Self.provenSpan)
        leafCredit = min(Self.leafCreditMax, leafCredit + elapsed * Self.leafCreditMax / Span.hour)
        readsGood *= exp(-elapsed / Self.readSpan)
        readsFailed *= exp(-elapsed / Self.readSpan)
    }

    /// Believes a clock that was set back: nothing lies in the future any more.
    private mutating func goBack(to now: Timestamp) {
        clock = now
        firstSeen = min(firstSeen, now)
        lastSeen = min(lastSeen, now)
        downSince = downSince.map { min($0, now) }
        lastProof = lastProof.map { min($0, now) }
        accusedAt = accusedAt.map { min($0, now) }
        forgedAt = forgedAt.map { min($0, now) }
    }

    /// How long it has been offline as far as anyone looked; 0 while it is up.
    ///
    /// While the observer itself was away nobody looked, and that time is not counted.
    func offlineSeconds(at time: Timestamp) -> Double {
        guard let downSince else { return 0 }
        let looked = clock.adding(seconds: Self.gapSecondsMax)
        return min(time.bounded, looked).secondsElapsed(since: downSince)
    }

    /// The outages of this provider, as far as they are known.
    package var outageModel: OutageModel {
        OutageModel(outages: outages, seconds: outageSeconds)
    }
}

/// How many audits ended in each verdict.
struct VerdictCounts: Hashable, Sendable {
    private(set) var counts = [UInt64](repeating: 0, count: Verdict.allCases.count)

    subscript(verdict: Verdict) -> UInt64 {
        get { counts[Int(verdict.rawValue) - 1] }
        set { counts[Int(verdict.rawValue) - 1] = newValue }
    }

    mutating func count(_ verdict: Verdict) {
        self[verdict] = self[verdict].addingSaturated(1)
    }
}

extension UInt64 {
    func addingSaturated(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
