import Testing
import Wire

struct DecodeErrorTests {
    @Test(arguments: [
        (DecodeError.truncated(needed: 4, available: 1), "truncated: 4 bytes needed, 1 left"),
        (.tooLong(field: "name", value: 300, limit: 255), "name is 300, more than its limit 255"),
        (.invalid(field: "kind", reason: "no such kind"), "kind is invalid: no such kind"),
        (.badMagic(expected: "shard segment"), "not a shard segment"),
        (.unsupportedVersion(2), "unsupported version 2"),
        (.trailingBytes(3), "3 bytes too many"),
        (.corrupt("record"), "record is corrupt"),
    ])
    func messageNamesTheThing(error: DecodeError, message: String) {
        #expect(error.description == message)
    }
}
