package import Primitives
package import Transport

/// Retained heads of volumes at all keepers of a network.
package enum RetainedRegister {
    /// A retained head, with what all keepers say of it.
    package struct Found: Hashable, Sendable {
        package let digest: Digest
        package let version: UInt64
        /// When the head was made, by the clock of its maker.
        package let time: Timestamp
        /// When the first of the keepers got it, by its own clock.
        package let received: Timestamp
        /// Until when the last of them keeps it, in seconds since 1970.
        package let until: Int64
        /// Those that have it.
        package let keepers: [NodeID]
    }

    /// Asks all keepers which heads of a volume they retain; the oldest first.
    ///
    /// Blocks until all have answered, at most `KeeperClient.timeout`.
    ///
    /// - Throws: what the first keeper failed with, if none answered.
    package static func list(
        of volume: VolumeID,
        at network: any StorageNetwork
    ) throws(NetworkError) -> [Found] {
        let keepers = network.keeperIDs
        let answers = keepers.map { network.ask(ListRetained(volume: volume), ofKeeper: $0) }
        var found: [Digest: Found] = [:]
        var failure: NetworkError?
        var answered = 0
        for (keeper, answer) in zip(keepers, answers) {
            do throws(NetworkError) {
                for head in try answer.wait(for: ListRetained.timeout).heads {
                    found[head.digest] = merge(found[head.digest], head, at: keeper)
                }
                answered += 1
            } catch {
                failure = failure ?? error
            }
        }
        if answered == 0, let failure { throw failure }
        return found.values.sorted { one, other in
            (one.version, one.received, one.digest) < (other.version, other.received, other.digest)
        }
    }

    private static func merge(_ old: Found?, _ head: RetainedHead, at keeper: NodeID) -> Found {
        Found(
            digest: head.digest,
            version: old?.version ?? head.version,
            time: old?.time ?? head.time,
            received: min(old?.received ?? head.received, head.received),
            until: max(old?.until ?? head.until, head.until),
            keepers: (old?.keepers ?? []) + [keeper]
        )
    }

    /// Fetches a retained head from a keeper that has it.
    ///
    /// Blocks.
    ///
    /// - Throws: what the last keeper failed with; `corrupt` if it gave another head, or one that
    ///   its owner has not signed.
    package static func fetch(
        _ found: Found,
        of volume: VolumeID,
        at network: any StorageNetwork
    ) throws(NetworkError) -> RetainedHeadContent {
        var failure = NetworkError(.notFound, "no keeper has head \(found.version)")
        for keeper in found.keepers {
            do throws(NetworkError) {
                let query = FetchRetained(volume: volume, digest: found.digest)
                let content = try network.ask(query, ofKeeper: keeper)
                    .wait(for: FetchRetained.timeout)
                let (head, registration) = (content.head, content.registration)
                guard head.digest == found.digest, head.volume == volume, head.isSignatureValid,
                    registration.id == volume, registration.ownerKey == head.ownerKey,
                    registration.isSignatureValid
                else {
                    throw NetworkError(
                        .corrupt,
                        "keeper \(keeper.short) gave another head than was asked for"
                    )
                }
                return content
            } catch {
                failure = error
            }
        }
        throw failure
    }
}
