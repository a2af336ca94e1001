import Disk
import Glibc
import Home
import Primitives
import Sealing
import Testing

/// The seed of a volume's owner as this machine keeps it: in clear, locked, not at all.
struct KeptSeedTests {
    private let seed = RootSeed(trusted: [UInt8](repeating: 7, count: 32))
    private let cheap: PassphraseCost
    private let passphrase: Passphrase
    private let wrong: Passphrase

    init() throws {
        cheap = try #require(PassphraseCost(passes: 1, memoryKiB: 8))
        passphrase = try #require(Passphrase(bytes: "open sesame".utf8))
        wrong = try #require(Passphrase(bytes: "open barley".utf8))
    }

    private func withVolume(
        writesPhrase: Bool = false,
        _ body: (VolumeDirectory) throws -> Void
    ) throws {
        try withHome { home in
            try body(
                VolumeDirectory.create(
                    "a",
                    in: home,
                    network: .local,
                    code: #require(ErasureCode("4+2")),
                    seed: seed,
                    writesPhrase: writesPhrase
                )
            )
        }
    }

    private func code(_ body: () throws -> Void) -> HomeError.Code? {
        #expect(throws: HomeError.self) { try body() }?.code
    }

    @Test func lockedKeyTakesThePassphrase() throws {
        try withVolume { volume in
            #expect(try volume.keptSeed() == .clear)
            let key = try volume.unlock().key
            try volume.lockSeed(under: passphrase, cost: cheap)
            #expect(try volume.keptSeed() == .locked(cheap))
            #expect(try volume.needsPassphrase())
            #expect(code { _ = try volume.unlock() } == .wrongSecret)
            #expect(code { _ = try volume.unlock(passphrase: wrong) } == .wrongSecret)
            #expect(try volume.unlock(passphrase: passphrase).key == key)
            #expect(try volume.unlock(phrase: RecoveryPhrase(seed: seed)).key == key)

            #expect(code { try volume.unlockSeed(with: wrong) } == .wrongSecret)
            #expect(try volume.keptSeed() == .locked(cheap))
            try volume.unlockSeed(with: passphrase)
            #expect(try volume.keptSeed() == .clear)
            #expect(try volume.unlock().key == key)
        }
    }

    @Test func theSeedIsNowhereInClearOnceLocked() throws {
        try withVolume { volume in
            let file = volume.path + "/seed"
            let old = try Descriptor(opening: file)
            try volume.lockSeed(under: passphrase, cost: cheap)
            var status = stat()
            #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
            let digits = Hex.encode(seed.bytes)
            for name in try Directory.list(volume.path)
            where !Directory.isDirectory(volume.path + "/" + name) {
                let bytes = try WholeFile.read(volume.path + "/" + name)
                #expect(!String(decoding: bytes, as: UTF8.self).contains(digits), "\(name)")
            }
            // The file that was is zeros, as far as a file system lets one do that.
            #expect(try old.read(at: 0, count: 100).allSatisfy { $0 == 0 })
        }
    }

    @Test func aVolumeMadeWithAPassphraseIsLockedFromTheBeginning() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: #require(ErasureCode("4+2")),
                seed: seed,
                passphrase: passphrase
            )
            #expect(try volume.keptSeed() == .locked(.moderate))
            #expect(code { _ = try volume.unlock(passphrase: wrong) } == .wrongSecret)
            let keys = try volume.unlock(passphrase: passphrase)
            #expect(keys.identity.publicKey == volume.ownerKey)
        }
    }

    @Test func whatIsNotThereCannotBeLockedOrUnlocked() throws {
        try withVolume { volume in
            #expect(code { try volume.unlockSeed(with: passphrase) } == .already)
            try volume.lockSeed(under: passphrase, cost: cheap)
            #expect(code { try volume.lockSeed(under: wrong, cost: cheap) } == .already)
            try WholeFile.remove(volume.path + "/seed")
            #expect(try volume.keptSeed() == .absent)
            #expect(code { try volume.lockSeed(under: passphrase, cost: cheap) } == .notFound)
            #expect(code { try volume.unlockSeed(with: passphrase) } == .notFound)
        }
    }

    @Test func aPhraseBesideTheKeyMakesALockPointless() throws {
        try withVolume(writesPhrase: true) { volume in
            #expect(code { try volume.lockSeed(under: passphrase, cost: cheap) } == .usage)
            #expect(try volume.keptSeed() == .clear)
            try WholeFile.remove(volume.phrasePath)
            try volume.lockSeed(under: passphrase, cost: cheap)
        }
    }

    @Test func aForeignSeedIsNotLocked() throws {
        try withVolume { volume in
            let other = Hex.encode([UInt8](repeating: 8, count: 32))
            try WholeFile.replace(volume.path + "/seed", with: Array(other.utf8))
            #expect(code { try volume.lockSeed(under: passphrase, cost: cheap) } == .wrongSecret)
            #expect(try volume.keptSeed() == .clear)
        }
    }

    @Test func aDamagedLockNeverTraps() throws {
        try withVolume { volume in
            try volume.lockSeed(under: passphrase, cost: cheap)
            let path = volume.path + "/seed"
            let bytes = try WholeFile.read(path)
            for count in stride(from: 0, to: bytes.count - 2, by: 3) {
                try WholeFile.replace(path, with: Array(bytes.prefix(count)))
                #expect(code { _ = try volume.unlock(passphrase: passphrase) } == .corrupt)
            }
            // The digits of the salt and of what is sealed.
            for index in stride(from: 18, to: bytes.count - 1, by: 5) {
                var changed = bytes
                changed[index] = changed[index] == UInt8(ascii: "0") ? 0x31 : 0x30
                try WholeFile.replace(path, with: changed)
                let error = code { _ = try volume.unlock(passphrase: passphrase) }
                #expect(error == .wrongSecret || error == .corrupt, "\(index)")
            }
        }
    }

    @Test func restoredSeedIsKept() throws {
        try withVolume { volume in
            try volume.lockSeed(under: passphrase, cost: cheap)
            #expect(code { try volume.keepSeed(.random()) } == .wrongSecret)
            #expect(try volume.keptSeed() == .locked(cheap))
            try volume.keepSeed(seed)
            #expect(try volume.keptSeed() == .clear)
        }
    }

    /// What a process leaves that is killed while it takes the lock away.
    @Test func aDraftInClearIsNotLeftBesideALockedKey() throws {
        try withVolume { volume in
            try volume.lockSeed(under: passphrase, cost: cheap)
            let draft = volume.path + "/seed.new"
            let digits = Array(Hex.encode(seed.bytes).utf8)
            for use in [
                { try volume.lock(mountPoint: "/mnt").release() },
                { _ = try? volume.unlockSeed(with: wrong) },
            ] as [() throws -> Void] {
                try WholeFile.create(draft, with: digits, permissions: 0o600)
                let open = try Descriptor(opening: draft)
                try use()
                #expect(!WholeFile.exists(draft))
                #expect(try open.read(at: 0, count: 100).allSatisfy { $0 == 0 })
            }
            #expect(try volume.keptSeed() == .locked(cheap))
        }
    }

    @Test func passphraseFilesHaveOneLine() throws {
        try withVolume { volume in
            let path = volume.path + "/passphrase"
            for text in ["open sesame", "open sesame\n", "open sesame\r\n"] {
                try WholeFile.replace(path, with: Array(text.utf8))
                let read = try PassphraseSource(file: path).read("")
                #expect(read.isSame(as: passphrase), "\(text)")
            }
            let refused = ["", "\n", "two\nlines\n", "nul\0", String(repeating: "x", count: 1025)]
            for text in refused {
                try WholeFile.replace(path, with: Array(text.utf8))
                #expect(code { _ = try PassphraseSource(file: path).read("") } == .usage, "\(text)")
            }
            let missing = PassphraseSource(file: volume.path + "/missing")
            #expect(code { _ = try missing.read("") } == .failed)
        }
    }
}
