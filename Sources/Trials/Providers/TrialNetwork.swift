package import Disk
package import Network
package import Primitives
import Sealing
import Synchronization
package import Transport

/// The providers and keepers of a trial and the network between: everything a network may do
/// wrong, by seed.
///
/// Requests and answers travel for a time drawn from the seed, so they overtake each other. While
/// the network is calm nothing goes wrong but what was broken before.
///
/// A provider acknowledges a shard once it has it on its disk, as real ones do; what it does not
/// have there is gone when it crashes. At most `m` providers are *frail*: only these lose, change
/// or are destroyed with what they hold, so no stripe ever loses more than it can bear.
package final class TrialNetwork: StorageNetwork {
    /// What every request meets on its way.
    enum Fate {
        case normal
        /// The connection ends before it is done.
        case cutBefore
        /// It is done and the connection ends before the answer.
        case cutAfter
        /// It is done or not, and nobody ever answers.
        case silence(done: Bool)
    }

    struct State {
        var random: SeededGenerator
        var providers: [TrialProvider] = []
        var keepers: [TrialKeeper] = []
        var isCalm = true
        /// Whether the machine that asks is alive.
        var isOwnerUp = true
        /// Wrong uses of the network: bytes that do not fit their root.
        var complaints: [String] = []
        var puts = 0
        var gets = 0
        var deletes = 0
        var faults = 0
    }

    package let ids: [NodeID]
    package let keeperIDs: [NodeID]
    let state: Mutex<State>
    let courier = Courier()
    private let trace: @Sendable (String, String) -> Void
    /// The latest that a message arrives if it does: below the 40 s after which a sender takes
    /// another provider and has the first one's copy deleted, there and back.
    private static let delayMilliseconds = 12_000
    /// So many that most answer when one does not.
    private static let keeperCount = 3
    /// One in so many shards is checked against its root.
    private static let rootCheckEvery = 8

    /// `trace` is told what happens at providers, and to what.
    package init(
        count: Int,
        frail: Int,
        seed: UInt64,
        trace: @escaping @Sendable (String, String) -> Void
    ) {
        self.trace = trace
        var random = SeededGenerator(seed: seed)
        var providers: [TrialProvider] = []
        let frailOnes = Set((0..<count).shuffled(using: &random).prefix(frail))
        for number in 0..<count {
            let bytes = SHA256.digest(Array("provider \(number)".utf8)).bytes
            guard let id = NodeID(bytes: bytes) else { continue }
            providers.append(TrialProvider(id: id, isFrail: frailOnes.contains(number)))
        }
        ids = providers.map(\.id)
        let keepers = (0..<Self.keeperCount).compactMap { number in
            NodeID(bytes: SHA256.digest(Array("keeper \(number)".utf8)).bytes).map(TrialKeeper.init)
        }
        keeperIDs = keepers.map(\.id)
        state = Mutex(State(random: random, providers: providers, keepers: keepers))
    }

    /// Starts to carry messages for a life of the owner's machine.
    package func start() throws(DiskError) {
        state.withLock { $0.isOwnerUp = true }
        try courier.start()
    }

    /// Ends the owner's life: what is under way arrives now or never.
    package func stop() {
        state.withLock { $0.isOwnerUp = false }
        for deliver in courier.stop() where state.withLock({ Bool.random(using: &$0.random) }) {
            deliver()
        }
        // What these have set off on their way is lost.
        state.withLock { state in
            for index in state.providers.indices {
                let provider = state.providers[index]
                for (shard, bytes) in provider.volatile.sorted(by: { $0.key < $1.key })
                where Bool.random(using: &state.random) {
                    state.providers[index].store(shard, bytes)
                    trace("stored late", "\(shard.short) at provider \(index)")
                }
                state.providers[index].volatile = [:]
            }
        }
    }

    // MARK: StorageNetwork

    /// All of them, those that are down too.
    package func providers() throws(NetworkError) -> [ProviderRecord] {
        guard let address = NodeAddress("127.0.0.1:1") else {
            throw NetworkError(.malformed, "address")
        }
        return state.withLock { state in
            state.providers.map { provider in
                ProviderRecord(
                    id: provider.id,
                    address: address,
                    domain: provider.id.hex,
                    capacityBytes: 1 << 32,
                    usedBytes: provider.usedBytes,
                    isUp: provider.isListedUp,
                    lastSeen: Timestamp.epoch
                )
            }
        }
    }

    package func put(
        _ shard: ShardID,
        to node: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        let copy = Array(bytes)
        let isChecked = state.withLock { state in
            state.puts += 1
            return state.puts % Self.rootCheckEvery == 0
        }
        if isChecked, MerkleTree.root(of: bytes) != root {
            state.withLock { $0.complaints.append("shard \(shard.short) does not fit its root") }
        }
        trace("send", shard.short)
        return request(node) { network, fate, index, answer in
            network.arrive(shard, copy, at: index, fate, answer)
        }
    }

    private func arrive(
        _ shard: ShardID,
        _ bytes: [UInt8],
        at index: Int,
        _ fate: Fate,
        _ answer: @escaping @Sendable (Result<Void, NetworkError>?) -> Void
    ) {
        let refusal = state.withLock { state -> NetworkError? in
            if case .silence(false) = fate { return nil }
            if state.providers[index].mood == .full { return NetworkError(.full, "full") }
            state.providers[index].volatile[shard] = bytes
            return nil
        }
        if case .silence(false) = fate { return }
        if let refusal { return answer(.failure(refusal)) }
        let (delay, life) = state.withLock { state in
            (
                Duration.milliseconds(Int.random(in: 1...12, using: &state.random)),
                state.providers[index].life
            )
        }
        courier.send(after: delay) { [self] in
            let isKept = state.withLock { state in
                guard state.providers[index].life == life,
                    let kept = state.providers[index].volatile.removeValue(forKey: shard)
                else { return false }
                state.providers[index].store(shard, kept)
                return true
            }
            trace(isKept ? "stored" : "not stored", "\(shard.short) at provider \(index)")
            guard isKept else {
                return answer(.failure(NetworkError(.closed, "the provider went down")))
            }
            switch fate {
            case .normal: answer(.success(()))
            case .silence: answer(nil)
            case .cutBefore, .cutAfter: answer(.failure(NetworkError(.closed, "cut")))
            }
        }
    }

    package func get(
        _ shard: ShardID,
        from node: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        state.withLock { $0.gets += 1 }
        return request(node) { network, fate, index, answer in
            let result = network.state.withLock { state -> Result<[UInt8], NetworkError> in
                let provider = state.providers[index]
                guard let bytes = provider.durable[shard] else {
                    return .failure(NetworkError(.notFound, "no such shard"))
                }
                guard offset >= 0, count >= 0, offset + count <= bytes.count else {
                    return .failure(NetworkError(.malformed, "no such range"))
                }
                var part = Array(bytes[offset..<offset + count])
                if provider.mood == .garbling {
                    let at = Int.random(in: 0..<max(1, part.count), using: &state.random)
                    if !part.isEmpty { part[at] ^= 0x40 }
                }
                if provider.mood == .halving { part.removeLast(part.count / 2) }
                return .success(part)
            }
            switch fate {
            case .normal: answer(result)
            case .silence: answer(nil)
            case .cutBefore, .cutAfter: answer(.failure(NetworkError(.closed, "cut")))
            }
        }
    }

    package func delete(_ shards: [ShardID], from node: NodeID) -> Pending<Void> {
        state.withLock { $0.deletes += 1 }
        return request(node) { network, fate, index, answer in
            if case .silence(false) = fate { return }
            network.state.withLock { state in
                for shard in shards { state.providers[index].remove(shard) }
            }
            for shard in shards {
                network.trace("deleted", "\(shard.short) at provider \(index)")
            }
            switch fate {
            case .normal: answer(.success(()))
            case .silence: answer(nil)
            case .cutBefore, .cutAfter: answer(.failure(NetworkError(.closed, "cut")))
            }
        }
    }

    // Nobody here keeps orders: the engines of trials have no custody.

    package func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        Pending(.failure(NetworkError(.refused, "providers of trials keep shards only")))
    }

    package func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> {
        Pending(.failure(NetworkError(.refused, "keepers of trials are asked one by one")))
    }

    // MARK: The way

    /// Sends a request: `arrive` runs at the provider with what becomes of it, and answers once,
    /// or with `nil` never.
    private func request<Value: Sendable>(
        _ node: NodeID,
        _ arrive:
            @escaping @Sendable (
                TrialNetwork, Fate, Int, @escaping @Sendable (Result<Value, NetworkError>?) -> Void
            ) -> Void
    ) -> Pending<Value> {
        let pending = Pending<Value>()
        guard let index = ids.firstIndex(of: node) else {
            pending.fulfil(.failure(NetworkError(.unreachable, "unknown provider")))
            return pending
        }
        let answer: @Sendable (Result<Value, NetworkError>?) -> Void = { [self] result in
            guard let result else { return }
            let delay = state.withLock { Self.delay(to: index, &$0) }
            courier.send(after: delay) { [self] in
                if state.withLock({ $0.isOwnerUp }) { pending.fulfil(result) }
            }
        }
        guard state.withLock({ $0.isOwnerUp }) else {
            pending.fulfil(.failure(NetworkError(.unreachable, "the owner's machine is down")))
            return pending
        }
        let (delay, fate) = state.withLock { state in
            (Self.delay(to: index, &state), Self.fate(of: index, &state))
        }
        courier.send(after: delay) { [self] in
            guard state.withLock({ $0.providers[index].isUp }) else {
                return answer(.failure(NetworkError(.unreachable, "down")))
            }
            if case .cutBefore = fate {
                return answer(.failure(NetworkError(.closed, "cut")))
            }
            arrive(self, fate, index, answer)
        }
        return pending
    }

    private static func delay(to index: Int, _ state: inout State) -> Duration {
        delay(inMood: state.providers[index].mood, &state)
    }

    static func delay(inMood mood: TrialProvider.Mood, _ state: inout State) -> Duration {
        let usual = Duration.microseconds(Int.random(in: 200...20_000, using: &state.random))
        guard !state.isCalm else { return usual }
        if mood == .slow {
            return .milliseconds(Int.random(in: 100...delayMilliseconds, using: &state.random))
        }
        // One in 200 is very late, request or answer.
        guard Int.random(in: 0..<200, using: &state.random) == 0 else { return usual }
        return .milliseconds(Int.random(in: 1000...delayMilliseconds, using: &state.random))
    }

    private static func fate(of index: Int, _ state: inout State) -> Fate {
        fate(inMood: state.providers[index].mood, &state)
    }

    static func fate(inMood mood: TrialProvider.Mood, _ state: inout State) -> Fate {
        guard !state.isCalm else { return .normal }
        var draw = Int.random(in: 0..<100, using: &state.random)
        switch mood {
        case .mute: draw = 96
        case .cutting: draw = draw < 50 ? 98 : 99
        default: break
        }
        let isDone = Bool.random(using: &state.random)
        switch draw {
        case 96:
            state.faults += 1
            return .silence(done: isDone)
        case 98:
            state.faults += 1
            return .cutBefore
        case 99:
            state.faults += 1
            return .cutAfter
        default: return .normal
        }
    }
}
