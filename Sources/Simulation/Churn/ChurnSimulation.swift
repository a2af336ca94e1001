import Primitives
import Proofs
import Reliability

/// A year of a network in which providers come and go, disks die and shards rot, repaired by the
/// very code that repairs a real one.
///
/// Judged are `RepairPolicy`, `StripeRisk` and `Score` with `ProviderHistory`; placement is a
/// weighted draw among those that are up, at most `m` shards of a stripe in a domain. An observer
/// sees at once who is offline, and an audit an hour; departures it is never told of. The same
/// configuration gives the same report. docs/reliability.md tells what is assumed.
package struct ChurnSimulation {
    enum Event {
        case down(Int, generation: Int, length: Int64?)
        case up(Int, generation: Int)
        case depart(Int)
        case join(slot: Int)
        case domainOutage(Int)
        case domainLoss(Int)
        case diskLoss(Int)
        case rot
        case found(shard: Int32, holder: Int32, audited: Bool)
        case check(stripe: Int)
        case repaired
        case hour
    }

    /// The copy of a shard with a former holder.
    struct Spare {
        let provider: Int32
        /// It is kept until then; for ever while its holder is away.
        var until: Int64
        /// Whether the shard was rebuilt for its holder's absence.
        var wasRebuilt: Bool
    }

    /// How often scores are worked out, in hours.
    private static let scoreHours = 6

    let configuration: ChurnConfiguration
    let code: ErasureCode
    /// Times of events are milliseconds after this.
    private static let origin: Int64 = 1_700_000_000
    /// When the stripes are placed and the counting begins, and when it ends.
    let start: Int64
    private let end: Int64

    /// What befalls the network is drawn from this alone, so that it is the same under every rule.
    var generator: SeededGenerator
    /// Who is given a shard.
    var placementGenerator: SeededGenerator
    var events = EventQueue<Event>()
    var now: Int64 = 0
    private var hours = 0
    var report: ChurnReport

    var providers: [ChurnProvider] = []
    /// Who stands in each of the places of the network; departed ones are replaced.
    var slots: [Int] = []
    /// Sums of placement weights over `slots`.
    var weightSums: [Double] = []

    // By shard: stripe × n + index.
    var holder: [Int32] = []
    /// Where in its holder's list the shard stands.
    var place: [Int32] = []
    /// When its bytes were destroyed, or -1.
    var destroyedAt: [Int64] = []
    /// When its loss was found out, or -1.
    var foundAt: [Int64] = []
    var spares: [Int32: Spare] = [:]

    // By stripe.
    /// Shards that can be read.
    var present: [Int16] = []
    /// Shards whose bytes are nowhere.
    var destroyed: [Int16] = []
    var isLost: [Bool] = []
    /// The next check that is planned.
    var checkAt: [Int64] = []
    var isQueued: [Bool] = []
    /// Waits for shards to come back before it can be repaired.
    var isStuck: [Bool] = []

    var repairQueue = EventQueue<Int>()
    var current: (stripe: Int, targets: [Int])?
    /// Scratch, so that judging a stripe allocates nothing.
    var health: [ShardHealth] = []

    var belowFull = 0
    var unavailable = 0
    private var integratedUntil: Int64 = 0

    package init(_ configuration: ChurnConfiguration) {
        precondition(configuration.providers > 0 && configuration.stripes >= 0)
        self.configuration = configuration
        code = configuration.code
        generator = SeededGenerator(seed: configuration.seed)
        placementGenerator = SeededGenerator(seed: ~configuration.seed)
        start = Int64(configuration.warmUpDays) * Int64(ChurnProvider.day)
        end = start + Int64(configuration.days) * Int64(ChurnProvider.day)
        report = ChurnReport(code: configuration.code)
        report.providers = configuration.providers
        report.stripes = configuration.stripes
        report.days = configuration.days
        report.shardBytes = configuration.shardBytes
    }

    /// Runs it.
    package static func run(_ configuration: ChurnConfiguration) -> ChurnReport {
        var simulation = ChurnSimulation(configuration)
        return simulation.run()
    }

    private mutating func run() -> ChurnReport {
        for slot in 0..<configuration.providers {
            slots.append(-1)
            join(slot)
        }
        planMisfortunes()
        events.add(.hour, at: 0)
        while let (time, event) = events.next(until: start) { handle(event, at: time) }
        now = start
        integratedUntil = start
        report.outages = 0
        placeAll()
        while let (time, event) = events.next(until: end) { handle(event, at: time) }
        integrate(until: end)
        report.isConsistent = isConsistent
        return report
    }

    /// Counts everything anew.
    private var isConsistent: Bool {
        var full = 0
        var readable = 0
        for stripe in present.indices where !isLost[stripe] {
            let shards = stripe * code.n..<(stripe + 1) * code.n
            let whole = shards.count { destroyedAt[$0] < 0 && providers[Int(holder[$0])].isUp }
            let isListed = shards.allSatisfy { shard in
                providers[Int(holder[shard])].shards[Int(place[shard])] == Int32(shard)
            }
            guard isListed, whole == Int(present[stripe]),
                Set(holder[shards]).count == code.n,
                shards.count(where: { destroyedAt[$0] >= 0 }) == Int(destroyed[stripe])
            else { return false }
            full += whole == code.n ? 1 : 0
            readable += whole >= code.k ? 1 : 0
        }
        let kept = isLost.count { !$0 }
        return kept - full == belowFull && kept - readable == unavailable
            && kept == isLost.count - report.stripesLost
    }

    func timestamp(_ time: Int64) -> Timestamp {
        Timestamp(
            seconds: Self.origin + time / 1000,
            nanoseconds: UInt32(time % 1000) * 1_000_000
        )
    }

    private mutating func handle(_ event: Event, at time: Int64) {
        integrate(until: time)
        now = time
        switch event {
        case .down(let provider, let generation, let length):
            guard providers[provider].generation == generation else { return }
            goDown(provider, length: length)
        case .up(let provider, let generation):
            guard providers[provider].generation == generation else { return }
            comeUp(provider)
        case .depart(let provider): depart(provider)
        case .join(let slot): join(slot)
        case .domainOutage(let domain): domainOutage(domain)
        case .domainLoss(let domain): domainLoss(domain)
        case .diskLoss(let provider): diskLoss(provider)
        case .rot: rot()
        case .found(let shard, let provider, let audited):
            found(shard, holder: provider, audited: audited)
        case .check(let stripe):
            checkAt[stripe] = .max
            judge(stripe)
        case .repaired: finishRepair()
        case .hour: auditAll()
        }
    }

    /// Counts the stripe-hours since the last event.
    private mutating func integrate(until time: Int64) {
        guard time > integratedUntil else { return }
        let hours = Double(time - integratedUntil) / ChurnProvider.hour
        report.stripeHoursBelowFull += Double(belowFull) * hours
        report.stripeHoursUnavailable += Double(unavailable) * hours
        integratedUntil = time
    }

    /// An hourly audit of everyone, and new scores now and then.
    private mutating func auditAll() {
        events.add(.hour, at: now + Int64(ChurnProvider.hour))
        let time = timestamp(now)
        for provider in slots where provider >= 0 {
            let isUp = providers[provider].isUp
            providers[provider].history.note(isUp ? .ok : .unreachable, leaves: 32, at: time)
        }
        if hours.isMultiple(of: Self.scoreHours) {
            for provider in slots where provider >= 0 { updateScore(provider) }
            updateWeights()
        }
        hours += 1
    }

    func score(_ provider: Int) -> Score {
        Score(of: providers[provider].history, at: timestamp(now), explained: false)
    }

    mutating func updateScore(_ provider: Int) {
        let score = score(provider)
        providers[provider].lossProbability = score.lossProbability
        providers[provider].weight = score.placementWeight
    }
}
