import Disk
import Home
import Primitives
import Sealing
import Testing

struct ShreddingTests {
    private let seed = RootSeed(trusted: [UInt8](repeating: 7, count: 32))

    private func withVolume(_ body: (Home, VolumeDirectory) throws -> Void) throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: #require(ErasureCode("4+2")),
                seed: seed,
                writesPhrase: true
            )
            try body(home, volume)
        }
    }

    @Test func nothingOfAShreddedVolumeIsLeft() throws {
        try withVolume { home, volume in
            try WholeFile.create(volume.cacheDirectory + "/content", with: [1, 2, 3])
            let files = ["seed", "phrase", "volume.json"].map { volume.path + "/" + $0 }
            let open = try files.map { try Descriptor(opening: $0) }
            try volume.shred()
            #expect(try VolumeDirectory.list(in: home).isEmpty)
            #expect(try Directory.list(home.volumesPath).isEmpty)
            // Who still has a file open reads zeros.
            for file in open {
                #expect(try file.read(at: 0, count: 4096).allSatisfy { $0 == 0 }, "\(file.path)")
            }
        }
    }

    /// Cut off after its first step: the wrapped key is gone, the seed is not.
    @Test func halfShreddedVolumeOpensNoMoreAndIsShreddedAgain() throws {
        try withVolume { home, volume in
            let path = volume.path + "/volume.json"
            let text = String(decoding: try WholeFile.read(path), as: UTF8.self)
            let lines = text.split(separator: "\n").map { line in
                line.contains("\"wrappedKey\"") ? "  \"wrappedKey\" : \"\"" : String(line)
            }
            try WholeFile.replace(path, with: Array(lines.joined(separator: "\n").utf8))
            let half = try VolumeDirectory.open("a", in: home)
            #expect(half.isShredded)
            let error = #expect(throws: HomeError.self) { try half.unlock() }
            #expect(error?.message.contains("was shredded") == true)
            try half.shred()
            #expect(try VolumeDirectory.list(in: home).isEmpty)
        }
    }

    @Test func changedKeyIsKeptAndRegisteredAnew() throws {
        try withVolume { home, volume in
            try WholeFile.create(volume.path + "/registered", with: [])
            let key = try volume.unlock().key
            #expect(volume.keyGeneration == 0)
            let next = try #require(key.next())
            let changed = try volume.replaceKey(next, sealedBy: seed)
            #expect(changed.keyGeneration == 1)
            #expect(try changed.unlock().key == next)
            let opened = try VolumeDirectory.open("a", in: home)
            #expect(opened.id == volume.id && opened.keyGeneration == 1)
            #expect(try opened.unlock().key == next)
            #expect(!WholeFile.exists(volume.path + "/registered"))
        }
    }
}
