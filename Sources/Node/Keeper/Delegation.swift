import Primitives
import Proofs
import Sealing

/// Which volume of whom.
///
/// Volume ids are their owners' choice, so two owners may have the same.
struct DelegationKey: Hashable, Sendable, CustomStringConvertible {
    let owner: NodeID
    let volume: VolumeID

    /// Both ids, as they name files.
    var name: String { "\(owner.hex)-\(volume.hex)" }

    var description: String { "volume \(volume.short) of \(owner.short)" }
}

/// A volume that its owner has put into the keeper's care.
struct Delegation: Sendable {
    let key: DelegationKey
    let grant: Grant
    let repairKey: RepairKey
    let code: ErasureCode
}
