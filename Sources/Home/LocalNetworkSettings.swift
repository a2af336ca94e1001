import Disk
import FoundationEssentials
import Glibc
import Primitives

/// `local.json`: where the embedded network's daemons listen and how much they store.
struct LocalNetworkSettings: Codable, Hashable, Sendable {
    static let format = 1
    /// The longest file that is looked at.
    static let bytesMax = 64 << 10
    /// Of the disk's free space at the network's making, for each provider: with six they may
    /// come to fill three quarters of it.
    private static let freeSpaceShare: UInt64 = 8
    /// The longest epoch that is taken: a day.
    private static let epochSecondsMax: UInt32 = 86_400
    /// What each provider stores at least.
    private static let capacityBytesMin: UInt64 = 1 << 30

    let format: Int
    /// Of each provider.
    let capacityBytes: UInt64
    /// On loopback, kept from run to run, so that network files stay valid.
    var keeperPort: Int
    var providerPorts: [Int]
    /// Length of an epoch, which the keeper keeps to for ever; absent for the default.
    var epochSeconds: UInt32?

    /// Reads the settings of the network at `directory`, making them at its first use, and
    /// replaces ports that another program has taken meanwhile.
    ///
    /// `epochSeconds` counts at the making only.
    static func load(
        from directory: String,
        epochSeconds: UInt32? = nil
    ) throws(HomeError) -> LocalNetworkSettings {
        let path = directory + "/local.json"
        var settings =
            if WholeFile.exists(path) {
                try read(path)
            } else {
                try make(in: directory, epochSeconds: epochSeconds)
            }
        let old = settings
        try settings.replaceTakenPorts()
        if settings != old || !WholeFile.exists(path) {
            let bytes = settings.encoded()
            try withDisk { () throws(DiskError) in try WholeFile.replace(path, with: bytes) }
        }
        return settings
    }

    private static func make(
        in directory: String,
        epochSeconds: UInt32?
    ) throws(HomeError) -> LocalNetworkSettings {
        let free = try withDisk { () throws(DiskError) in try Host.freeBytes(directory) }
        return LocalNetworkSettings(
            format: format,
            capacityBytes: max(free / freeSpaceShare, capacityBytesMin),
            keeperPort: 0,
            providerPorts: Array(repeating: 0, count: LocalNetwork.providerCount),
            epochSeconds: epochSeconds
        )
    }

    private static func read(_ path: String) throws(HomeError) -> LocalNetworkSettings {
        let bytes = try withDisk { () throws(DiskError) in
            try WholeFile.read(path, limit: bytesMax)
        }
        guard
            let settings = try? JSONDecoder().decode(LocalNetworkSettings.self, from: Data(bytes)),
            settings.format == format, settings.ports.allSatisfy((0...65535).contains),
            settings.providerPorts.count == LocalNetwork.providerCount,
            settings.epochSeconds.map({ (1...epochSecondsMax).contains($0) }) ?? true
        else {
            throw HomeError(
                .corrupt,
                "\(path) is not a format \(format) description of the local network; remove it to"
                    + " have it made again"
            )
        }
        return settings
    }

    private var ports: [Int] { [keeperPort] + providerPorts }

    private func encoded() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        guard let data = try? encoder.encode(self) else {
            preconditionFailure("integers can be written as JSON")
        }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    private mutating func replaceTakenPorts() throws(HomeError) {
        // All are held until all are chosen, so that no two are the same.
        var held: [LoopbackPort] = []
        keeperPort = try Self.hold(keeperPort, &held)
        for index in providerPorts.indices {
            providerPorts[index] = try Self.hold(providerPorts[index], &held)
        }
    }

    /// Holds `port`, or another if that is 0 or taken.
    private static func hold(_ port: Int, _ held: inout [LoopbackPort]) throws(HomeError) -> Int {
        if port != 0, let same = LoopbackPort(port) {
            held.append(same)
            return port
        }
        guard let other = LoopbackPort(0) else {
            throw HomeError(.failed, "no free port on 127.0.0.1 for the local network")
        }
        held.append(other)
        return other.number
    }
}

/// A TCP port of 127.0.0.1 that nobody else can bind while this lives.
private final class LoopbackPort {
    let number: Int
    private let socket: Descriptor

    /// Takes `port`, or any free one for 0; `nil` if it is taken.
    init?(_ port: Int) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let fd = Glibc.socket(AF_INET, type, 0)
        guard fd >= 0 else { return nil }
        socket = Descriptor(adopting: fd, path: "port \(port)")
        // As servers bind: connections of the last run that are closing do not take the port.
        var yes: Int32 = 1
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(fd, pointer, size) == 0 && getsockname(fd, pointer, &size) == 0
            }
        }
        guard isBound else { return nil }
        number = Int(UInt16(bigEndian: address.sin_port))
    }
}
