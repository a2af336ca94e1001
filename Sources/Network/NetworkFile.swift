package import Primitives
package import Sealing
package import Transport
import FoundationEssentials
import Wire

/// A keeper as a newcomer needs to know it.
package struct KeeperEndpoint: Hashable, Sendable {
    package let address: NodeAddress
    package let publicKey: PublicKey

    package init(address: NodeAddress, publicKey: PublicKey) {
        self.address = address
        self.publicKey = publicKey
    }
}

/// Why some bytes are not a network file to be trusted; one line that says what to do.
package struct NetworkFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// What joins a machine to a network: whom to dial first, with their keys.
///
/// JSON, for people to copy; signed by its first keeper (`docs/wire.md`).
package struct NetworkFile: Hashable, Sendable {
    package static let format = 1
    /// The longest network name, in bytes.
    package static let nameBytesMax = 64
    /// The most keepers of a file; a newcomer needs one that answers.
    package static let keepersMax = 16
    /// The longest file that is looked at.
    package static let fileBytesMax = 64 << 10
    private static let signedPrefix = Array("mefs/1/network-file\0".utf8)

    package let name: String
    /// The code that volumes on this network use unless told otherwise.
    package let code: ErasureCode
    /// 1...16; the first has signed.
    package let keepers: [KeeperEndpoint]
    package let signature: [UInt8]

    private struct Text: Codable {
        struct Keeper: Codable {
            let address: String
            let publicKey: String
        }
        let format: Int
        let name: String
        let code: String
        let keepers: [Keeper]
        let signature: String
    }

    /// Only the format, which tells whether the rest can be understood.
    private struct FormatOnly: Codable {
        let format: Int
    }

    /// Makes a file and signs it with the key of the first keeper.
    ///
    /// - Throws: if the name or the keepers break the limits, or `key` is not the first keeper's.
    package static func signed(
        name: String,
        code: ErasureCode,
        keepers: [KeeperEndpoint],
        by key: SigningKey
    ) throws(NetworkFileError) -> NetworkFile {
        guard keepers.first?.publicKey == key.publicKey else {
            throw NetworkFileError("a network file is signed by its first keeper")
        }
        let signature: [UInt8]
        do throws(SealingError) {
            signature = try key.signature(of: signedBytes(name, code, keepers))
        } catch {
            throw NetworkFileError("cannot sign the network file: \(error)")
        }
        return try NetworkFile(name: name, code: code, keepers: keepers, signature: signature)
    }

    private init(
        name: String,
        code: ErasureCode,
        keepers: [KeeperEndpoint],
        signature: [UInt8]
    ) throws(NetworkFileError) {
        guard !name.isEmpty, name.utf8.count <= Self.nameBytesMax, name.isLabel else {
            throw NetworkFileError(
                "a network's name has 1 to \(Self.nameBytesMax) bytes, no control characters"
            )
        }
        guard let first = keepers.first, keepers.count <= Self.keepersMax else {
            throw NetworkFileError("a network file names 1 to \(Self.keepersMax) keepers")
        }
        // One that counts twice could be more than half of the keepers by itself.
        guard Set(keepers.map(\.publicKey)).count == keepers.count,
            Set(keepers.map(\.address)).count == keepers.count
        else {
            throw NetworkFileError("a network file names a keeper twice")
        }
        guard
            first.publicKey.isValid(
                signature: signature,
                of: Self.signedBytes(name, code, keepers)
            )
        else {
            throw NetworkFileError(
                "the network file's signature does not match: it was changed after it was signed;"
                    + " export it again at its keeper"
            )
        }
        self.name = name
        self.code = code
        self.keepers = keepers
        self.signature = signature
    }

    /// Reads a file and checks its signature.
    package init(parsing bytes: [UInt8]) throws(NetworkFileError) {
        guard bytes.count <= Self.fileBytesMax else {
            throw NetworkFileError("too long to be a network file: \(bytes.count) bytes")
        }
        let data = Data(bytes)
        guard let format = try? JSONDecoder().decode(FormatOnly.self, from: data).format else {
            throw NetworkFileError(
                "not a network file: no JSON object with a \"format\" (make one with"
                    + " 'mefs network export')"
            )
        }
        guard format == Self.format else {
            throw NetworkFileError(
                "network file of format \(format); this program knows format \(Self.format)"
            )
        }
        let text: Text
        do {
            text = try JSONDecoder().decode(Text.self, from: data)
        } catch {
            throw NetworkFileError(
                "network file with a missing or misformed field: name, code, keepers, signature"
            )
        }
        guard let code = ErasureCode(text.code) else {
            throw NetworkFileError("network file: the code \"\(text.code)\" is not like 4+2")
        }
        var keepers: [KeeperEndpoint] = []
        for keeper in text.keepers.prefix(Self.keepersMax + 1) {
            keepers.append(try Self.endpoint(keeper))
        }
        guard let signature = Hex.decode(text.signature) else {
            throw NetworkFileError("network file: the signature is not hexadecimal")
        }
        try self.init(name: text.name, code: code, keepers: keepers, signature: signature)
    }

    private static func endpoint(_ text: Text.Keeper) throws(NetworkFileError) -> KeeperEndpoint {
        guard let address = NodeAddress(text.address), address.port > 0 else {
            throw NetworkFileError(
                "network file: the keeper address \"\(text.address)\" is not HOST:PORT"
            )
        }
        guard let bytes = Hex.decode(text.publicKey), let key = PublicKey(bytes: bytes) else {
            throw NetworkFileError(
                "network file: the key of keeper \(address) is not 64 hexadecimal digits"
            )
        }
        return KeeperEndpoint(address: address, publicKey: key)
    }

    /// The file's bytes: the same for the same content.
    package func encoded() -> [UInt8] {
        let text = Text(
            format: Self.format,
            name: name,
            code: code.description,
            keepers: keepers.map {
                Text.Keeper(
                    address: $0.address.description,
                    publicKey: Hex.encode($0.publicKey.bytes)
                )
            },
            signature: Hex.encode(signature)
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(text) else {
            preconditionFailure("strings and an integer can be written as JSON")
        }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    /// What the signature covers: the fields, not their JSON, which tools may reformat.
    private static func signedBytes(
        _ name: String,
        _ code: ErasureCode,
        _ keepers: [KeeperEndpoint]
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(signedPrefix)
        writer.integer(UInt32(format))
        writer.string(name)
        writer.code(code)
        writer.integer(UInt32(keepers.count))
        for keeper in keepers {
            writer.address(keeper.address)
            writer.raw(keeper.publicKey.bytes)
        }
        return writer.bytes
    }
}
