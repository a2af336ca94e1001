import Disk
import Home
import Logging
import Network
import Primitives
import Proofs
import SQLite
import Sealing
import Testing
import Transport

/// Someone who has all that the mount has, the owner's key too, and a program of their own.
final class Attacker {
    private let volume: VolumeDirectory
    private let identity: SigningKey
    private let network: RemoteNetwork

    /// What became of the shards that were under order.
    struct Damage {
        var deleted = 0
        /// Those that providers kept because of a lock.
        var refused = 0
    }

    init(_ mounted: MountedVolume) throws {
        let home = try Home(path: mounted.home)
        volume = try VolumeDirectory.open("home", in: home)
        identity = try volume.unlock().identity
        network = try RemoteNetwork(
            file: try volume.network(),
            identity: identity,
            logger: Logger(label: "attacker") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    func close() { network.close() }

    // MARK: Providers

    /// Has every provider take every shard out of its orders, and delete it, and all shards that
    /// the mount knows of.
    func deleteAllShards() throws -> Damage {
        var damage = Damage()
        for provider in try network.providers().map(\.id) {
            let query = OrderHead(volume: volume.id, owner: identity.publicKey.nodeID)
            for order in try network.ask(query, of: provider).wait(for: .seconds(10)).orders {
                try empty(order.terms.id, at: provider, &damage)
            }
        }
        let database = try Database(path: volume.metadataPath, access: .readOnly)
        let shards = try database.query("SELECT shard, provider FROM shard") {
            (ShardID(bytes: $0.blob(0)), NodeID(bytes: $0.blob(1)))
        }
        for case (let shard?, let provider?) in shards { delete(shard, at: provider, &damage) }
        return damage
    }

    private func delete(_ shard: ShardID, at provider: NodeID, _ damage: inout Damage) {
        do throws(NetworkError) {
            try network.delete([shard], from: provider).wait(for: .seconds(30))
            damage.deleted += 1
        } catch {
            #expect([.refused, .retained].contains(error.code), "\(error)")
        }
    }

    private func empty(_ order: OrderID, at provider: NodeID, _ damage: inout Damage) throws {
        var (state, tree) = try fetch(order, at: provider)
        let shards = (0..<tree.count).map { tree[$0] }.filter { !$0.isTombstone }.map(\.shard)
        // All together, so that one that is not locked may take others with it.
        if try amend(&state, &tree, removing: shards, at: provider) == nil { return }
        for shard in shards {
            if let refusal = try amend(&state, &tree, removing: [shard], at: provider) {
                #expect(refusal == .retained)
                damage.refused += 1
            }
            delete(shard, at: provider, &damage)
        }
    }

    private func fetch(
        _ order: OrderID,
        at provider: NodeID
    ) throws -> (OrderState, OrderTree) {
        var tree = OrderTree()
        var position: UInt64? = 0
        var state: OrderState?
        while let from = position {
            let query = FetchOrder(order: order, sinceSequence: 0, from: from)
            let delta = try network.ask(query, of: provider).wait(for: .seconds(10))
            try tree.apply(delta.changes)
            (state, position) = (delta.state, delta.next)
        }
        return (try #require(state), tree)
    }

    /// - Returns: Why not, if it was refused.
    private func amend(
        _ state: inout OrderState,
        _ tree: inout OrderTree,
        removing shards: [ShardID],
        at provider: NodeID
    ) throws -> NetworkError.Code? {
        for _ in 0..<20 {
            var next = tree
            let changes = tree.changes(adding: [], removing: shards)
            guard !changes.isEmpty else { return nil }
            try next.apply(changes)
            let amendment = AmendOrder(
                order: state.order,
                baseSequence: state.sequence,
                changes: changes,
                proposal: try OrderProposal(
                    order: state.order,
                    sequence: state.sequence + 1,
                    commitment: next.commitment,
                    at: Clock.now(),
                    signedBy: identity
                )
            )
            do throws(NetworkError) {
                state = try network.ask(amendment, of: provider).wait(for: .seconds(30))
                tree = next
                return nil
            } catch {
                // The mount goes on amending too.
                guard error.code == .exists else { return error.code }
            }
            (state, tree) = try fetch(state.order, at: provider)
        }
        return .exists
    }

    // MARK: Keepers

    /// Registers a head of nothing, so late that no other comes after it.
    func registerEmptyHead() throws -> HeadRegistration {
        let survey = HeadRegister.newest(
            of: volume.id,
            owner: identity.publicKey.nodeID,
            at: network
        )
        return HeadRegister.register(
            try VolumeHead(
                volume: volume.id,
                version: try #require(survey.newest).version + 1_000_000,
                time: Clock.now(),
                term: survey.term,
                previous: .noHead,
                body: [],
                signedBy: identity
            ),
            at: network
        )
    }

    /// Registers a key that opens nothing.
    func replaceKey() throws {
        let known = try #require(try network.registration(of: volume.id))
        var key = known.wrappedKey
        key[key.count - 1] ^= 1
        try network.register(
            try VolumeRegistration(
                id: volume.id,
                code: known.code,
                wrappedKey: key,
                created: known.created,
                signedBy: identity
            )
        )
    }

    /// Has keepers destroy the volume's key.
    ///
    /// - Returns: Why not, if they refused.
    func shred() throws -> NetworkError.Code? {
        let known = try #require(try network.registration(of: volume.id))
        let shredding = try VolumeRegistration(
            shredding: volume.id,
            code: known.code,
            created: known.created,
            signedBy: identity
        )
        do throws(NetworkError) {
            try network.register(shredding)
            return nil
        } catch {
            return error.code
        }
    }
}
