import Network
import Primitives
import Sealing
import Testing
import Transport

@Suite struct NetworkFileTests {
    @Test func fileIsThatOfFormat1() throws {
        let file = try Samples.networkFile()
        try Golden.expect(
            file.encoded(),
            "wire/network-file",
            "network file: büro, 4+2, keepers 01.. and 02.."
        )
        #expect(try NetworkFile(parsing: file.encoded()) == file)
    }

    @Test func reformattedFileIsStillGood() throws {
        let file = try Samples.networkFile()
        let text = String(decoding: file.encoded(), as: UTF8.self)
        let compact = text.split(separator: "\n").map { $0.drop { $0 == " " } }.joined()
        #expect(try NetworkFile(parsing: Array(compact.utf8)) == file)
    }

    @Test(arguments: [
        ("büro", "buro"), ("4+2", "4+1"), ("192.0.2.1:4750", "192.0.2.2:4750"),
        ("192.0.2.1:4750", "192.0.2.1:4751"),
    ])
    func changedFieldBreaksTheSignature(from: String, to: String) throws {
        let text = String(decoding: try Samples.networkFile().encoded(), as: UTF8.self)
        let parts = text.split(separator: from, omittingEmptySubsequences: false)
        #expect(parts.count > 1)
        let error = #expect(throws: NetworkFileError.self) {
            try NetworkFile(parsing: Array(parts.joined(separator: to).utf8))
        }
        #expect(error?.description.contains("signature does not match") == true)
    }

    @Test func fileSignedByAnotherKeeperIsRefused() throws {
        let keepers = [
            KeeperEndpoint(address: try Samples.address(), publicKey: try Samples.key(1).publicKey)
        ]
        #expect(throws: NetworkFileError.self) {
            try NetworkFile.signed(
                name: "a",
                code: try Samples.code(),
                keepers: keepers,
                by: try Samples.key(2)
            )
        }
    }

    @Test func aKeeperThatIsNamedTwiceIsRefused() throws {
        let keys = [try Samples.key(1).publicKey, try Samples.key(2).publicKey]
        let addresses = [try Samples.address(), try Samples.address("192.0.2.2:4750")]
        for keepers in [
            zip(addresses, [keys[0], keys[0]]).map(KeeperEndpoint.init(address:publicKey:)),
            zip([addresses[0], addresses[0]], keys).map(KeeperEndpoint.init(address:publicKey:)),
        ] {
            let error = #expect(throws: NetworkFileError.self) {
                try NetworkFile.signed(
                    name: "a",
                    code: try Samples.code(),
                    keepers: keepers,
                    by: try Samples.key(1)
                )
            }
            #expect(error?.description.contains("twice") == true)
        }
    }

    @Test(arguments: [
        ("", "not a network file"), ("[]", "not a network file"), ("{}", "not a network file"),
        ("{\"format\": 2}", "format 2; this program knows format 1"),
        ("{\"format\": 1}", "missing or misformed field"),
        (
            "{\"format\":1,\"name\":\"a\",\"code\":\"0+1\",\"keepers\":[],\"signature\":\"\"}",
            "\"0+1\" is not like 4+2"
        ),
        (
            "{\"format\":1,\"name\":\"a\",\"code\":\"4+2\",\"keepers\":[],\"signature\":\"\"}",
            "1 to 16 keepers"
        ),
        (
            "{\"format\":1,\"name\":\"a\",\"code\":\"4+2\",\"signature\":\"\",\"keepers\":"
                + "[{\"address\":\"x\",\"publicKey\":\"\"}]}",
            "\"x\" is not HOST:PORT"
        ),
        (
            "{\"format\":1,\"name\":\"\",\"code\":\"4+2\",\"keepers\":[],\"signature\":\"\"}",
            "name has 1 to 64 bytes"
        ),
    ])
    func whatIsWrongIsNamedInOneLine(text: String, reason: String) {
        let error = #expect(throws: NetworkFileError.self) {
            try NetworkFile(parsing: Array(text.utf8))
        }
        #expect(error?.description.contains(reason) == true)
        #expect(error?.description.contains("\n") == false)
    }

    @Test func everyTruncationAndFlipIsRefusedOrHarmless() throws {
        let file = try Samples.networkFile()
        let bytes = file.encoded()
        for count in 0..<bytes.count - 1 {
            #expect(throws: NetworkFileError.self) {
                try NetworkFile(parsing: Array(bytes.prefix(count)))
            }
        }
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                // Flips in white space, or between upper and lower case digits, change nothing.
                if let other = try? NetworkFile(parsing: changed) { #expect(other == file) }
            }
        }
    }

    @Test func hugeFileIsRefusedUnread() {
        #expect(throws: NetworkFileError.self) {
            try NetworkFile(parsing: [UInt8](repeating: 0x20, count: (64 << 10) + 1))
        }
    }
}
