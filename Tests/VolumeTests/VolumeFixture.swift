import Disk
import Logging
import Primitives
import Sealing
import Volume

/// An engine on a directory of its own, over providers in memory.
struct VolumeFixture {
    let directory: String
    let network: MemoryNetwork
    let configuration: VolumeConfiguration

    /// Runs `body` with a fresh fixture and removes its directory.
    static func with(
        code: String = "4+2",
        providers: Int = 6,
        dirtyAgeSeconds: Double = 3600,
        _ body: (VolumeFixture) throws -> Void
    ) throws {
        let directory = "/var/tmp/mefs-volume-\(Hex.encode(SecureRandom.bytes(8)))"
        try Directory.make(directory)
        defer { try? Directory.remove(tree: directory) }
        let network = MemoryNetwork(count: providers)
        guard let id = VolumeID(bytes: SecureRandom.bytes(16)), let code = ErasureCode(code) else {
            throw FileSystemError(.invalid, "fixture")
        }
        var configuration = VolumeConfiguration(
            id: id,
            name: "test",
            code: code,
            key: VolumeKey.random(),
            metadataPath: directory + "/volume.db",
            cacheDirectory: directory + "/cache"
        )
        // Uploads begin when a test says so.
        configuration.dirtyAgeSeconds = dirtyAgeSeconds
        try body(
            VolumeFixture(directory: directory, network: network, configuration: configuration)
        )
    }

    /// Runs `body` with an open engine and closes it, draining nothing.
    func open(_ body: (VolumeEngine) throws -> Void) throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let engine = try VolumeEngine(configuration, network: network, logger: logger)
        do {
            try body(engine)
        } catch {
            _ = try? engine.shutdown(drainSeconds: 0)
            throw error
        }
        try engine.shutdown(drainSeconds: 0)
    }
}

extension VolumeEngine {
    func makeFile(_ name: String, in parent: InodeNumber = .root) throws -> InodeNumber {
        try create(
            NewInode(kind: .regular, mode: 0o644, uid: 0, gid: 0),
            named: EntryName(Array(name.utf8)),
            in: parent
        ).ino
    }

    func find(_ name: String, in parent: InodeNumber = .root) throws -> InodeNumber {
        try lookup(EntryName(Array(name.utf8)), in: parent).ino
    }

    func write(_ bytes: [UInt8], at offset: UInt64, to ino: InodeNumber) throws {
        let count = try bytes.withUnsafeBytes {
            try write(ino, offset: offset, from: $0, wait: .allowed)
        }
        guard count == bytes.count else { throw FileSystemError(.inputOutput, "short write") }
    }

    func read(_ ino: InodeNumber, _ range: Range<Int>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xaa, count: range.count)
        let count = try bytes.withUnsafeMutableBytes {
            try read(ino, offset: UInt64(range.lowerBound), into: $0, wait: .allowed)
        }
        return Array(bytes[..<count])
    }

    func resize(_ ino: InodeNumber, to size: UInt64) throws {
        var change = AttributeChange()
        change.size = size
        _ = try setAttributes(change, of: ino, wait: .allowed)
    }

    func state(of ino: InodeNumber) throws -> String {
        String(
            decoding: try extendedAttribute(Array("user.mefs.state".utf8), of: ino),
            as: UTF8.self
        )
    }

    func place() throws {
        try syncToNetwork { _ in }
    }
}
