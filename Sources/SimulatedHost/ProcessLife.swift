import Disk
import Synchronization

/// One process of a machine, from its start to its crash, and the disk as that process sees it.
final class ProcessLife: SimulatedFiles, Sendable {
    let number: Int
    let disk: SimulatedDisk
    /// 0 while it lives, else how it ended.
    private let end: Atomic<UInt8>
    /// What connections to one database share in the memory of the process, by file number.
    let databases = Mutex<[UInt64: WeakDatabase]>([:])

    init(number: Int, disk: SimulatedDisk) {
        self.number = number
        self.disk = disk
        end = Atomic(0)
    }

    var isOver: Bool { end.load(ordering: .acquiring) != 0 }

    var crash: CrashKind? {
        switch end.load(ordering: .acquiring) {
        case 0: nil
        case 1: .kill
        default: .powerCut
        }
    }

    /// Ends it; a power cut counts also after a kill.
    func end(_ kind: CrashKind) {
        end.max(kind == .kill ? 1 : 2, ordering: .sequentiallyConsistent)
    }

    // MARK: The disk

    func open(
        _ path: String,
        _ access: Descriptor.Access,
        _ options: Descriptor.Options
    ) throws(DiskError) -> any SimulatedFile {
        try openFile(path, access, options)
    }

    func openFile(
        _ path: String,
        _ access: Descriptor.Access,
        _ options: Descriptor.Options
    ) throws(DiskError) -> OpenFile {
        let (node, isNew) = try disk.open(path, options, self)
        return OpenFile(
            node,
            path: path,
            isNew: isNew,
            canWrite: access != .readOnly,
            canRead: access != .writeOnly,
            life: self
        )
    }

    func makeDirectory(_ path: String) throws(DiskError) { try disk.makeDirectory(path, self) }

    func isDirectory(_ path: String) -> Bool {
        guard case .directory? = disk.node(at: path, self) else { return false }
        return true
    }

    func exists(_ path: String) -> Bool { disk.node(at: path, self) != nil }

    func list(_ path: String) throws(DiskError) -> [String] { try disk.list(path, self) }

    func removeDirectory(_ path: String) throws(DiskError) {
        try disk.removeDirectory(path, self)
    }

    func unlink(_ path: String) throws(DiskError) { try disk.unlink(path, self) }

    func link(_ path: String, _ newPath: String) throws(DiskError) {
        try disk.link(path, newPath, self)
    }

    func rename(_ path: String, _ newPath: String, replaces: Bool) throws(DiskError) {
        try disk.rename(path, newPath, replaces: replaces, self)
    }

    func resolve(_ path: String) throws(DiskError) -> String { try disk.resolve(path, self) }

    func space() throws(DiskError) -> (free: UInt64, total: UInt64) { try disk.space(self) }
}
