package import Primitives
package import Transport

/// The heads of volumes at all keepers of a network: published to all, and asked of all, since
/// keepers do not tell each other and any of them may lie.
package enum HeadRegister {
    /// Gives a head to every keeper.
    ///
    /// Blocks until all have answered, at most `PutHead.timeout`. The caller keeps a head durably
    /// before it is registered: one of the same version with other bytes is a fork, which keepers
    /// refuse.
    package static func register(
        _ head: VolumeHead,
        at network: any StorageNetwork
    ) -> HeadRegistration {
        let keepers = network.keeperIDs
        let answers = keepers.map { network.ask(PutHead(head: head), ofKeeper: $0) }
        var refusals: [HeadRegistration.Refusal] = []
        for (keeper, answer) in zip(keepers, answers) {
            do throws(NetworkError) {
                _ = try answer.wait(for: PutHead.timeout)
            } catch {
                refusals.append(HeadRegistration.Refusal(keeper: keeper, error: error))
            }
        }
        return HeadRegistration(of: keepers.count, refusals: refusals)
    }

    /// Asks every keeper for the newest head of `owner`'s volume, who is who asks.
    ///
    /// Blocks until all have answered, at most `GetHead.timeout`. `atLeast` is the version that
    /// this machine has seen last, so that an older one shows as a rollback.
    package static func newest(
        of volume: VolumeID,
        owner: NodeID,
        at network: any StorageNetwork,
        atLeast: UInt64? = nil
    ) -> HeadSurvey {
        let keepers = network.keeperIDs
        let pending = keepers.map { network.ask(GetHead(volume: volume), ofKeeper: $0) }
        let answers = zip(keepers, pending).map { keeper, answer in
            do throws(NetworkError) {
                return HeadSurvey.Answer(keeper, .success(try answer.wait(for: GetHead.timeout)))
            } catch {
                return HeadSurvey.Answer(keeper, .failure(error))
            }
        }
        return HeadSurvey(of: volume, owner: owner, answers: answers, atLeast: atLeast)
    }
}

/// What keepers said to a head.
package struct HeadRegistration: Sendable {
    /// A keeper that has not taken the head, or has not answered.
    package struct Refusal: Hashable, Sendable {
        package let keeper: NodeID
        /// `conflict`: it has a newer head, or another one of this version; `superseded`: a writer
        /// with a newer term has the volume; `notFound`: the volume is not registered there.
        package let error: NetworkError

        package init(keeper: NodeID, error: NetworkError) {
            self.keeper = keeper
            self.error = error
        }
    }

    /// Keepers that have the head on their disks.
    package let taken: Int
    /// Keepers of the network.
    package let of: Int
    package let refusals: [Refusal]

    package init(of keepers: Int, refusals: [Refusal]) {
        of = keepers
        taken = keepers - refusals.count
        self.refusals = refusals
    }

    /// Whether more than half of the keepers have it, so that nobody who asks as many misses it.
    package var isByMajority: Bool { taken > of / 2 }

    /// Whether so many keepers have a newer head, another one, or a writer with a newer term that
    /// it never comes to more than half of them.
    package var isRefusedForGood: Bool {
        let refusing = refusals.count { [.superseded, .conflict].contains($0.error.code) }
        return refusing > 0 && of - refusing <= of / 2
    }
}
