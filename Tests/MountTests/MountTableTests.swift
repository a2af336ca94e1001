import Mount
import Testing

struct MountTableTests {
    private let text = """
        21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
        90 21 0:50 / /mnt/with\\040space rw,nosuid,nodev shared:7 master:2 - fuse.mefs mefs:home rw
        91 21 0:51 / /mnt/two rw - tmpfs none rw
        92 91 0:52 / /mnt/two rw - fuse.mefs mefs:b rw
        a line of another shape

        """

    @Test func entriesAreRead() throws {
        let table = MountTable(parsing: Array(text.utf8))
        #expect(table.entries.count == 4)
        let entry = try #require(table.top(at: "/mnt/with space"))
        #expect(entry.device == "0:50")
        #expect(entry.source == "mefs:home")
        #expect(entry.isVolume)
    }

    @Test func theLastMountAtAPlaceCoversTheOthers() {
        let table = MountTable(parsing: Array(text.utf8))
        #expect(table.top(at: "/mnt/two")?.source == "mefs:b")
        #expect(table.top(at: "/mnt") == nil)
        #expect(table.top(at: "/")?.isVolume == false)
    }

    @Test func everyTruncationIsTaken() {
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count {
            #expect(MountTable(parsing: Array(bytes[..<count])).entries.count <= 4)
        }
    }

    @Test func theKernelsTableIsRead() throws {
        #expect(try MountTable.current().top(at: "/") != nil)
    }
}
