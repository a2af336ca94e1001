import Disk
import Primitives
import Synchronization

/// What happens to providers as time goes by.
extension TrialNetwork {
    /// One event of the seed's choice: a crash, a return, a change of mood, rot.
    ///
    /// - Returns: what happened, for the trace.
    func changeWeather() -> String {
        state.withLock { state in
            guard !state.isCalm, !state.providers.isEmpty else { return "calm" }
            for index in state.providers.indices {
                state.providers[index].isListedUp = state.providers[index].isUp
            }
            let index = Int.random(in: 0..<state.providers.count, using: &state.random)
            let draw = Int.random(in: 0..<100, using: &state.random)
            guard !state.providers[index].isGone else { return "provider \(index) is gone" }
            switch draw {
            case ..<22:
                state.providers[index].crash()
                return "provider \(index) crashes"
            case ..<55:
                for other in state.providers.indices where !state.providers[other].isGone {
                    // Most of the time most providers are up, else nothing is ever placed.
                    if other == index || Int.random(in: 0..<3, using: &state.random) > 0 {
                        state.providers[other].isUp = true
                    }
                }
                return "providers come back"
            case ..<70:
                let moods = TrialProvider.Mood.allCases
                let mood = moods[Int.random(in: 0..<moods.count, using: &state.random)]
                state.providers[index].mood = mood
                return "provider \(index) is \(mood)"
            case ..<90:
                for other in state.providers.indices { state.providers[other].mood = .healthy }
                return "all moods are well"
            default: return Self.decay(index, &state)
            }
        }
    }

    /// Lets a frail provider lose or change something for good.
    private static func decay(_ index: Int, _ state: inout State) -> String {
        guard state.providers[index].isFrail else { return "provider \(index) keeps all" }
        let shards = state.providers[index].durable.keys.sorted()
        guard !shards.isEmpty else { return "provider \(index) has nothing to lose" }
        let shard = shards[Int.random(in: 0..<shards.count, using: &state.random)]
        switch Int.random(in: 0..<8, using: &state.random) {
        case 0:
            // The disk is lost and an empty one is in its place.
            for shard in shards { state.providers[index].remove(shard) }
            return "provider \(index) loses all"
        case ..<4:
            state.providers[index].remove(shard)
            return "provider \(index) loses \(shard.short)"
        default:
            guard var bytes = state.providers[index].durable[shard], !bytes.isEmpty else {
                return "nothing rots"
            }
            bytes[Int.random(in: 0..<bytes.count, using: &state.random)] ^= 1
            state.providers[index].durable[shard] = bytes
            return "provider \(index): \(shard.short) rots"
        }
    }

    /// Makes everything well that can be: what frail providers lost stays lost.
    package func calmDown() {
        state.withLock { state in
            state.isCalm = true
            for index in state.providers.indices where !state.providers[index].isGone {
                state.providers[index].isUp = true
                state.providers[index].isListedUp = true
                state.providers[index].mood = .healthy
            }
        }
    }

    package func letLoose() {
        state.withLock { $0.isCalm = false }
    }

    /// Destroys `count` providers for good, the frail ones first.
    func destroy(_ count: Int) {
        state.withLock { state in
            let order = state.providers.indices.shuffled(using: &state.random)
            let frail = order.filter { state.providers[$0].isFrail }
            let others = order.filter { !state.providers[$0].isFrail }
            for index in (frail + others).prefix(count) {
                state.providers[index].crash()
                state.providers[index].isGone = true
                state.providers[index].isListedUp = false
                state.providers[index].durable = [:]
                state.providers[index].usedBytes = 0
            }
        }
    }

    /// Every shard that some provider has, with those that may have lost it.
    func shards() -> (held: Set<ShardID>, complaints: [String]) {
        state.withLock { state in
            var held: Set<ShardID> = []
            for provider in state.providers {
                held.formUnion(provider.durable.keys)
                held.formUnion(provider.volatile.keys)
            }
            return (held, state.complaints)
        }
    }

    func isFrail(_ id: NodeID) -> Bool {
        state.withLock { state in state.providers.contains { $0.id == id && $0.isFrail } }
    }
}
