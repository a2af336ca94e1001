import Primitives

/// One simulated provider: what it has on its disk, and how it behaves just now.
struct TrialProvider: Sendable {
    /// How it treats requests until its mood changes.
    enum Mood: CaseIterable, Sendable {
        case healthy
        /// Answers late, sometimes later than anybody waits.
        case slow
        /// Never answers, and may do what it was asked.
        case mute
        /// Gives bytes that are not those of the shard.
        case garbling
        /// Gives fewer bytes than were asked for.
        case halving
        /// Takes nothing new.
        case full
        /// Ends connections in the middle, before or after it did what it was asked.
        case cutting
    }

    let id: NodeID
    /// What a crash of the provider leaves.
    var durable: [ShardID: [UInt8]] = [:]
    /// Received and not synced: neither acknowledged nor safe.
    var volatile: [ShardID: [UInt8]] = [:]
    var usedBytes: UInt64 = 0
    var isUp = true
    /// What the keeper says; it learns late.
    var isListedUp = true
    var mood = Mood.healthy
    /// Counts its lives: what was under way in an earlier one is lost.
    var life = 0
    /// Whether it may really lose or change what it holds; at most `m` of all may.
    let isFrail: Bool
    /// Whether it is gone for good, with all it had.
    var isGone = false

    init(id: NodeID, isFrail: Bool) {
        self.id = id
        self.isFrail = isFrail
    }

    mutating func store(_ shard: ShardID, _ bytes: [UInt8]) {
        usedBytes -= UInt64(durable[shard]?.count ?? 0)
        durable[shard] = bytes
        usedBytes += UInt64(bytes.count)
    }

    mutating func remove(_ shard: ShardID) {
        volatile[shard] = nil
        guard let bytes = durable.removeValue(forKey: shard) else { return }
        usedBytes -= UInt64(bytes.count)
    }

    mutating func crash() {
        isUp = false
        life += 1
        volatile = [:]
    }
}
