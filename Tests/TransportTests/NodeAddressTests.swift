import Testing
import Transport

@Suite struct NodeAddressTests {
    @Test(arguments: [
        ("127.0.0.1:4750", "127.0.0.1", 4750), ("[::1]:1", "::1", 1),
        ("keeper.example:65535", "keeper.example", 65535), ("a:0", "a", 0),
    ])
    func addressIsParsedAndWrittenBack(text: String, host: String, port: Int) throws {
        let address = try #require(NodeAddress(text))
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", ":", "host", "host:", ":80", "host:65536", "host:-1", "host:+1", "::1:80", "[]:80",
        "[host]:80", "[::1:80", "a b:80", "a/b:80", "host:080808", "h\u{1}:80", "é:80",
        String(repeating: "a", count: 254) + ":80",
    ])
    func anythingElseIsRefused(text: String) {
        #expect(NodeAddress(text) == nil)
    }
}
