import Disk
import Synchronization

/// Whether a provider is leaving: the file `DIR/leaving`, so that a restart does not forget it.
final class LeavingMark: Sendable {
    private let path: String
    private let isSet: Atomic<Bool>

    init(directory: String) {
        path = directory + "/leaving"
        isSet = Atomic(WholeFile.exists(path))
    }

    var isLeaving: Bool { isSet.load(ordering: .relaxed) }

    /// Durable when this returns.
    func set(_ isLeaving: Bool) throws(DiskError) {
        if isLeaving {
            try WholeFile.replace(
                path,
                with: Array("takes nothing new; `mefs provider leave --cancel` to stay\n".utf8)
            )
        } else {
            try WholeFile.remove(path)
            try Directory.sync(Directory.parent(of: path))
        }
        isSet.store(isLeaving, ordering: .relaxed)
    }
}
