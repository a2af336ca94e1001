import Trials

/// Trials that have found something: what was wrong is put right, and they are run again and again.
enum Seeds {
    struct Kept: Sendable, CustomStringConvertible {
        let seed: UInt64
        var steps = 150
        var rounds = 10
        var clones = false
        /// What it found.
        let found: String

        var description: String { "seed \(seed): \(found)" }

        var plan: TrialPlan {
            var plan = TrialPlan(seed: seed)
            plan.steps = steps
            plan.rounds = rounds
            plan.clones = clones
            return plan
        }
    }

    static let kept: [Kept] = [
        Kept(seed: 138, found: "a block written while it was on its way was lost after mefs sync"),
        Kept(seed: 111, found: "the same, in place"),
        Kept(seed: 121, found: "the same, in a file whose block was then evicted"),
        Kept(seed: 124, found: "bytes cut from the cache came back after a power cut"),
        Kept(seed: 131, found: "bytes of before a truncation that was synced came back"),
        Kept(seed: 123, found: "the shard of a provider that stepped in stayed for ever"),
        Kept(seed: 125, found: "the same, the provider being chosen just before a power cut"),
        Kept(seed: 1005, found: "mefs sync did not sync a later write to a synced block"),
        Kept(seed: 1170, found: "the same, behind the end that a truncation had set"),
        Kept(seed: 5027, rounds: 6, found: "a recovered file lacked a hole at its end"),
        Kept(
            seed: 3250,
            rounds: 6,
            found: "after a crash the newest head lacked what had been committed after it"
        ),
        Kept(
            seed: 3373,
            rounds: 6,
            clones: true,
            found: "the cache file of a removed file, once mapped and synced, went before its rows"
        ),
        Kept(seed: 2294, steps: 200, found: "mefs sync failed for a file that was just removed"),
    ]
}
