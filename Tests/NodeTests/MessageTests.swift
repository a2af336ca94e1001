import Network
import Primitives
import Proofs
import Sealing
import Testing
import Transport
import Wire

/// One message, its name under `Tests/Golden/wire`, and how to read it back.
struct MessageCase: CustomTestStringConvertible, Sendable {
    let name: String
    let what: String
    let encoded: [UInt8]
    /// Decodes and encodes again.
    let recode: @Sendable ([UInt8]) throws(DecodeError) -> [UInt8]

    var testDescription: String { name }

    init<M: Message>(_ name: String, _ what: String, _ message: M) {
        self.name = name
        self.what = what
        encoded = message.encoded
        recode = { (bytes) throws(DecodeError) in try M(decoding: bytes).encoded }
    }

    static func all() throws -> [MessageCase] {
        try nodes() + orders() + audits() + custody() + delegation() + heads() + retention()
            + leases()
    }

    private static func nodes() throws -> [MessageCase] {
        [
            MessageCase(
                "put-shard",
                "PutShard: owner's seed 07.., shard 01.., root 02..; the shard's bytes follow it",
                try Samples.putShard()
            ),
            MessageCase(
                "get-shard",
                "GetShard: owner's seed 07.., 64 KiB of shard 01.. from byte 4096 on",
                GetShard(
                    owner: try Samples.owner(),
                    shard: try Samples.shard(1),
                    offset: 4096,
                    count: 65_536
                )
            ),
            MessageCase(
                "delete-shards",
                "DeleteShards: owner's seed 07.., 01.. and 02..",
                DeleteShards(
                    owner: try Samples.owner(),
                    shards: [try Samples.shard(1), try Samples.shard(2)]
                )
            ),
            MessageCase(
                "store-status",
                "StoreStatus: 1 TiB, 12345 bytes used by 3 shards, 2 orders, 1 damaged, leaving",
                StoreStatus(
                    capacityBytes: 1 << 40,
                    usedBytes: 12_345,
                    shardCount: 3,
                    orderCount: 2,
                    damagedShards: 1,
                    scrubbedBytes: 1 << 20,
                    isLeaving: true
                )
            ),
            MessageCase(
                "node-description",
                "NodeDescription: keeper, \"mefs 1\"",
                NodeDescription(role: .keeper, software: "mefs 1")
            ),
            MessageCase(
                "heartbeat",
                "Heartbeat: 192.0.2.1:4750, domain house, 1 TiB, 12345 used, leaving, 2 damaged",
                Heartbeat(
                    address: try Samples.address(),
                    domain: "house",
                    capacityBytes: 1 << 40,
                    usedBytes: 12_345,
                    isLeaving: true,
                    damagedShards: 2
                )
            ),
            MessageCase(
                "provider-list",
                "ProviderList: the nodes of the keys with seeds 03.. and 04..",
                ProviderList(providers: [try Samples.provider(3), try Samples.provider(4)])
            ),
            MessageCase(
                "volume-registration",
                "VolumeRegistration: volume 05.., owner's seed 07.., 4+2",
                try Samples.volume(5)
            ),
            MessageCase(
                "volume-list",
                "VolumeList: volumes 05.. and 06..",
                VolumeList(volumes: [try Samples.volume(5), try Samples.volume(6)])
            ),
            MessageCase(
                "export-network",
                "ExportNetwork: name büro, 4+2, reached at 192.0.2.1:4750",
                ExportNetwork(
                    name: "büro",
                    code: try Samples.code(),
                    address: try Samples.address()
                )
            ),
        ]
    }
}

@Suite struct MessageTests {
    @Test(arguments: try MessageCase.all())
    func bytesAreThoseOfVersion1(message: MessageCase) throws {
        try Golden.expect(message.encoded, "wire/\(message.name)", message.what)
    }

    @Test(arguments: try MessageCase.all())
    func messageComesBackWhole(message: MessageCase) throws {
        #expect(try message.recode(message.encoded) == message.encoded)
    }

    @Test(arguments: try MessageCase.all())
    func everyTruncationIsRefused(message: MessageCase) {
        for count in 0..<message.encoded.count {
            #expect(throws: DecodeError.self) {
                try message.recode(Array(message.encoded.prefix(count)))
            }
        }
    }

    @Test(arguments: try MessageCase.all())
    func bytesTooManyAreRefused(message: MessageCase) {
        #expect(throws: DecodeError.self) { try message.recode(message.encoded + [0]) }
    }

    @Test(arguments: try MessageCase.all())
    func flippedBitsNeverTrap(message: MessageCase) {
        for bit in 0..<message.encoded.count * 8 {
            var bytes = message.encoded
            bytes[bit / 8] ^= 1 << (bit % 8)
            // Whatever is still read must be written as it was read.
            if let again = try? message.recode(bytes) { #expect(again == bytes) }
        }
    }

    @Test(arguments: try MessageCase.all())
    func randomBytesNeverTrap(message: MessageCase) {
        var random = SeededGenerator(seed: 1)
        for count in 0..<400 { _ = try? message.recode(random.bytes(count)) }
    }

    @Test(arguments: [0, 1, 1023, 1025, (4 << 20) + 1024])
    func shardThatIsNotWholeLeavesIsRefused(count: Int) throws {
        let head = try Samples.putShard()
        #expect(throws: DecodeError.self) {
            try PutShard(headOf: head.encoded + [UInt8](repeating: 0, count: count))
        }
        let body = head.encoded + [UInt8](repeating: 0, count: 4 << 20)
        #expect(try PutShard(headOf: body) == head)
    }

    @Test(
        arguments: [(0, 0), (0, (4 << 20) + 1), (4 << 20, 1), (1, 4 << 20)] as [(UInt32, UInt32)]
    )
    func rangeBeyondAnyShardIsRefused(offset: UInt32, count: UInt32) throws {
        var writer = ByteWriter()
        writer.id(try Samples.owner())
        writer.id(try Samples.shard(1))
        writer.integer(offset)
        writer.integer(count)
        #expect(throws: DecodeError.self) { try GetShard(decoding: writer.bytes) }
    }

    @Test func rangeThatOverflowsIsRefused() throws {
        var writer = ByteWriter()
        writer.id(try Samples.owner())
        writer.id(try Samples.shard(1))
        writer.integer(UInt32.max)
        writer.integer(UInt32.max)
        #expect(throws: DecodeError.self) { try GetShard(decoding: writer.bytes) }
    }

    @Test func countAboveTheLimitIsRefusedBeforeItsBytesCome() throws {
        var writer = ByteWriter()
        writer.id(try Samples.owner())
        writer.integer(UInt32(DeleteShards.shardsMax + 1))
        #expect(throws: DecodeError.tooLong(field: "shards", value: 4097, limit: 4096)) {
            try DeleteShards(decoding: writer.bytes)
        }
    }

    @Test(arguments: [0, 4097, .max] as [UInt32])
    func compactionOfNoneOrTooManyIsRefused(drops: UInt32) throws {
        let state = try Samples.state()
        let query = CompactOrder(
            order: state.order,
            baseSequence: 0,
            drops: drops,
            proposal: state.proposal
        )
        #expect(throws: DecodeError.self) { try CompactOrder(decoding: query.encoded) }
    }

    @Test func longestDirectoryFitsAFrame() throws {
        let longest = ProviderRecord(
            id: try Samples.key(3).publicKey.nodeID,
            address: try #require(
                NodeAddress(
                    host: String(repeating: "a", count: NodeAddress.hostBytesMax),
                    port: 1
                )
            ),
            domain: String(repeating: "d", count: ProviderRecord.domainBytesMax),
            capacityBytes: 1,
            usedBytes: 1,
            isUp: true,
            lastSeen: .epoch
        )
        #expect(longest.encoded.count * ProviderList.providersMax + 4 <= Frame.bodyBytesMax)
    }
}

@Suite struct VolumeRegistrationTests {
    @Test func signatureCoversEveryField() throws {
        let volume = try Samples.volume(5)
        #expect(volume.isSignatureValid)
        for index in volume.encoded.indices {
            var bytes = volume.encoded
            bytes[index] ^= 1
            if let changed = try? VolumeRegistration(decoding: bytes) {
                #expect(!changed.isSignatureValid, "byte \(index)")
            }
        }
    }
}
