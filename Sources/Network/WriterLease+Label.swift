import Lease
package import Primitives
import Transport

extension WriterLease {
    /// What the holder of a volume's lease, or its last holder, is called; asks for no lease.
    ///
    /// Blocks until all keepers have answered, at most `HoldLease.timeout`.
    ///
    /// - Returns: the label of the newest term that a keeper told of; `nil` if none did.
    package static func holderLabel(
        of volume: VolumeID,
        at network: any StorageNetwork
    ) -> String? {
        let question = HoldLease(
            volume: volume,
            request: LeaseRequest(holder: .random(), label: "", term: 0)
        )
        let answers = network.keeperIDs.map { network.ask(question, ofKeeper: $0) }
        let states = answers.compactMap { try? $0.wait(for: HoldLease.timeout) }
        let newest = states.filter { $0.holder != .nobody }.max { $0.term < $1.term }
        return newest.flatMap { $0.label.isEmpty ? nil : $0.label }
    }
}
