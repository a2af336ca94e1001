import FoundationEssentials
import Primitives
import Sealing

/// `volume.json`: what a volume is, without any secret in clear.
struct VolumeFile: Hashable, Sendable {
    static let format = 1
    /// The longest file that is looked at.
    static let bytesMax = 64 << 10

    /// Where the volume's providers are found.
    enum Network: String, Codable, Sendable {
        /// The embedded network of the same home.
        case local
        /// The network of `network.json` beside the file.
        case file
    }

    let id: VolumeID
    let code: ErasureCode
    let created: Timestamp
    let ownerKey: PublicKey
    /// The volume's key sealed under its owner's root seed.
    var wrappedKey: [UInt8]
    let network: Network

    private struct Text: Codable {
        let format: Int
        let id: String
        let code: String
        let createdSeconds: Int64
        let ownerKey: String
        let wrappedKey: String
        let network: Network
    }

    private struct FormatOnly: Codable {
        let format: Int
    }

    init(
        id: VolumeID,
        code: ErasureCode,
        created: Timestamp,
        ownerKey: PublicKey,
        wrappedKey: [UInt8],
        network: Network
    ) {
        self.id = id
        self.code = code
        // Whole seconds, as the file has them.
        self.created = Timestamp(seconds: created.seconds, nanoseconds: 0)
        self.ownerKey = ownerKey
        self.wrappedKey = wrappedKey
        self.network = network
    }

    /// Reads the file's bytes; `path` is for messages.
    init(parsing bytes: [UInt8], path: String) throws(HomeError) {
        let data = Data(bytes)
        guard let format = try? JSONDecoder().decode(FormatOnly.self, from: data).format else {
            throw HomeError(.corrupt, "\(path) is not a volume file: no JSON object with a format")
        }
        guard format == Self.format else {
            throw HomeError(
                .failed,
                "\(path) is of format \(format), this program knows \(Self.format); update it"
            )
        }
        guard let text = try? JSONDecoder().decode(Text.self, from: data),
            let id = VolumeID(hex: text.id), let code = ErasureCode(text.code),
            let ownerKey = Hex.decode(text.ownerKey).flatMap({ PublicKey(bytes: $0) }),
            let wrappedKey = Hex.decode(text.wrappedKey)
        else {
            throw HomeError(
                .corrupt,
                "\(path) has a missing or misformed field; restore it from a backup"
            )
        }
        self.init(
            id: id,
            code: code,
            created: Timestamp(seconds: text.createdSeconds, nanoseconds: 0),
            ownerKey: ownerKey,
            wrappedKey: wrappedKey,
            network: text.network
        )
    }

    func encoded() -> [UInt8] {
        let text = Text(
            format: Self.format,
            id: id.hex,
            code: code.description,
            createdSeconds: created.seconds,
            ownerKey: Hex.encode(ownerKey.bytes),
            wrappedKey: Hex.encode(wrappedKey),
            network: network
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(text) else {
            preconditionFailure("strings and integers can be written as JSON")
        }
        return Array(data) + [UInt8(ascii: "\n")]
    }
}
