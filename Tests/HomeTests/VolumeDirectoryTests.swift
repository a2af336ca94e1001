import Disk
import Glibc
import Home
import Network
import Primitives
import Sealing
import Testing
import Transport

struct VolumeDirectoryTests {
    private let seed = RootSeed(trusted: [UInt8](repeating: 7, count: 32))

    private func code(_ text: String = "4+2") throws -> ErasureCode {
        try #require(ErasureCode(text))
    }

    private func networkFile() throws -> NetworkFile {
        let key = try SigningKey(seed: [UInt8](repeating: 9, count: 32))
        let address = try #require(NodeAddress("192.0.2.1:7100"))
        return try NetworkFile.signed(
            name: "test",
            code: code(),
            keepers: [KeeperEndpoint(address: address, publicKey: key.publicKey)],
            by: key
        )
    }

    private func mode(of path: String) -> UInt32 {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test func openedVolumeIsTheOneThatWasMade() throws {
        try withHome { home in
            let network = try networkFile()
            let made = try VolumeDirectory.create(
                "photos",
                in: home,
                network: .file(network),
                code: code("5+3"),
                seed: seed
            )
            let opened = try VolumeDirectory.open("photos", in: home)
            #expect(opened.id == made.id)
            #expect(opened.code == made.code)
            #expect(opened.created == made.created)
            #expect(opened.ownerKey == (try seed.identityKey().publicKey))
            #expect(!opened.isLocal)
            #expect(try opened.network() == network)
            #expect(try opened.unlock().key == made.unlock().key)
            #expect(try VolumeDirectory.list(in: home) == ["photos"])
            #expect(try Directory.list(home.volumesPath) == ["photos"])
        }
    }

    @Test func secretsAreTheOwnersAlone() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed,
                writesPhrase: true
            )
            #expect(mode(of: home.path) == 0o700)
            #expect(mode(of: volume.path) == 0o700)
            #expect(mode(of: volume.path + "/seed") == 0o600)
            #expect(mode(of: volume.path + "/phrase") == 0o600)
            let key = try volume.unlock().key
            let text = String(
                decoding: try WholeFile.read(volume.path + "/volume.json"),
                as: UTF8.self
            )
            #expect(!text.contains(Hex.encode(key.bytes)))
            #expect(!text.contains(Hex.encode(seed.bytes)))
        }
    }

    @Test func phraseLeftBehindOpensTheVolume() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: .random(),
                writesPhrase: true
            )
            let text = String(
                decoding: try WholeFile.read(volume.path + "/phrase"),
                as: UTF8.self
            )
            let phrase = try RecoveryPhrase(parsing: text)
            try WholeFile.remove(volume.path + "/seed")
            let (identity, _) = try volume.unlock(phrase: phrase)
            #expect(identity.publicKey == volume.ownerKey)
            let error = #expect(throws: HomeError.self) { try volume.unlock() }
            #expect(error?.code == .wrongSecret)
        }
    }

    @Test func wrongPhraseIsToldApart() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed
            )
            let other = RecoveryPhrase(seed: .random())
            let error = #expect(throws: HomeError.self) { try volume.unlock(phrase: other) }
            #expect(error?.code == .wrongSecret)
            #expect(error?.message.contains("does not open volume 'a'") == true)
        }
    }

    @Test func damagedSeedIsCorrupt() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed
            )
            try WholeFile.replace(volume.path + "/seed", with: Array("12".utf8))
            let error = #expect(throws: HomeError.self) { try volume.unlock() }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains(volume.path + "/seed") == true)
        }
    }

    @Test func nameIsTakenOnce() throws {
        try withHome { home in
            _ = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed
            )
            let error = #expect(throws: HomeError.self) {
                try VolumeDirectory.create(
                    "a",
                    in: home,
                    network: .local,
                    code: code(),
                    seed: seed
                )
            }
            #expect(error?.code == .already)
        }
    }

    @Test func missingVolumeIsNotFoundAndTheOthersAreNamed() throws {
        try withHome { home in
            let none = #expect(throws: HomeError.self) { try VolumeDirectory.open("b", in: home) }
            #expect(none?.code == .notFound)
            #expect(none?.message.contains("mefs volume create b") == true)
            _ = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed
            )
            let one = #expect(throws: HomeError.self) { try VolumeDirectory.open("b", in: home) }
            #expect(one?.message.hasSuffix("there are: a") == true)
        }
    }

    @Test func damagedVolumeFileNeverTraps() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed
            )
            let path = volume.path + "/volume.json"
            let bytes = try WholeFile.read(path)
            for count in stride(from: 0, to: bytes.count - 2, by: 7) {
                try WholeFile.replace(path, with: Array(bytes.prefix(count)))
                #expect(throws: HomeError.self) { try VolumeDirectory.open("a", in: home) }
            }
            var generator = SeededGenerator(seed: 1)
            for _ in 0..<60 {
                var flipped = bytes
                let index = Int.random(in: flipped.indices, using: &generator)
                flipped[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                try WholeFile.replace(path, with: flipped)
                _ = try? VolumeDirectory.open("a", in: home).unlock()
            }
        }
    }

    @Test func changedWrappedKeyIsCorrupt() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed
            )
            let path = volume.path + "/volume.json"
            let text = String(decoding: try WholeFile.read(path), as: UTF8.self)
            let lines = text.split(separator: "\n").map(String.init)
            let at = try #require(lines.firstIndex { $0.contains("\"wrappedKey\"") })
            var changed = lines
            let digit = try #require(lines[at].dropLast().last)
            changed[at] = lines[at].dropLast(2) + (digit == "0" ? "1" : "0") + "\""
            try WholeFile.replace(path, with: Array(changed.joined(separator: "\n").utf8))
            let error = #expect(throws: HomeError.self) {
                try VolumeDirectory.open("a", in: home).unlock()
            }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func secondMountIsToldWhoHasTheVolume() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed
            )
            #expect(volume.holder == nil)
            let lock = try volume.lock(mountPoint: "/mnt/a")
            let error = #expect(throws: HomeError.self) { try volume.lock(mountPoint: "/mnt/b") }
            #expect(error?.code == .already)
            #expect(
                error?.message
                    == "volume 'a' is already mounted at /mnt/a by process \(getpid());"
                    + " unmount it first"
            )
            #expect(volume.holder?.note == "/mnt/a")
            lock.release()
            try volume.lock(mountPoint: "/mnt/b").release()
        }
    }

    @Test func registrationCarriesTheKeyForTheOwner() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: code(),
                seed: seed
            )
            let (identity, key) = try volume.unlock()
            let registration = try volume.registration(signedBy: identity)
            #expect(registration.isSignatureValid)
            #expect(registration.id == volume.id)
            #expect(try seed.unwrap(registration.wrappedKey, for: registration.id) == key)
        }
    }

    @Test func standardVolumeIsMadeOnceAndAnnounced() throws {
        try withHome { home in
            var lines: [String] = []
            let first = try LocalNetwork.ensureVolume(in: home) { lines.append($0) }
            let second = try LocalNetwork.ensureVolume(in: home) { lines.append($0) }
            #expect(first.name == "home")
            #expect(first.code.description == "4+2")
            #expect(first.isLocal)
            #expect(second.id == first.id)
            #expect(lines.count == 1)
            #expect(lines.first?.contains(first.path + "/phrase") == true)
            let error = #expect(throws: HomeError.self) { try first.network() }
            #expect(error?.code == .notFound)
        }
    }
}
