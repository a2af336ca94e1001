package import Sealing
import Disk
import Primitives

/// How the seed of a volume's owner is kept on this machine.
package enum KeptSeed: Hashable, Sendable {
    /// Readable for whoever can read the file.
    case clear
    /// Sealed under a passphrase that costs so much to try.
    case locked(PassphraseCost)
    /// Not at all: opening takes the recovery phrase.
    case absent
}

extension VolumeDirectory {
    /// The longest of the small files that is looked at.
    private static let smallFileBytesMax = 4096

    /// What the file `seed` holds.
    private enum SeedFile {
        case clear(RootSeed)
        case locked(LockedSeed)
    }

    // MARK: Opening

    /// The owner's identity and the volume's key.
    ///
    /// Without a phrase the seed kept in the directory is used, opened with the passphrase if it
    /// is locked.
    ///
    /// - Throws: `wrongSecret` if phrase or passphrase is another one, or one is needed and none
    ///   given.
    package func unlock(
        phrase: RecoveryPhrase? = nil,
        passphrase: Passphrase? = nil
    ) throws(HomeError) -> (identity: SigningKey, key: VolumeKey) {
        guard !isShredded else {
            throw HomeError(.failed, "volume '\(name)' was shredded: nothing opens it any more")
        }
        let seed = try ownerSeed(phrase: phrase, passphrase: passphrase)
        let identity = try withSealing { () throws(SealingError) in try seed.identityKey() }
        let key = try withSealing { () throws(SealingError) in
            try seed.unwrap(file.wrappedKey, for: id)
        }
        return (identity, key)
    }

    /// The seed of the volume's owner, known to be the right one.
    ///
    /// - Throws: as `unlock`.
    package func ownerSeed(
        phrase: RecoveryPhrase? = nil,
        passphrase: Passphrase? = nil
    ) throws(HomeError) -> RootSeed {
        let seed = if let phrase { phrase.seed } else { try keptSeed(passphrase) }
        guard try isOwner(seed) else {
            let message =
                phrase == nil
                ? "\(seedPath) is not the seed of volume '\(name)'; give its recovery phrase"
                : "the phrase does not open volume '\(name)'; it is another owner's"
            throw HomeError(.wrongSecret, message)
        }
        return seed
    }

    /// Whether `seed` is that of the volume's owner.
    package func isOwner(_ seed: RootSeed) throws(HomeError) -> Bool {
        try withSealing { () throws(SealingError) in
            try seed.identityKey().publicKey == ownerKey
        }
    }

    /// How the owner's seed is kept on this machine.
    ///
    /// - Throws: `corrupt` if the file holds neither form.
    package func keptSeed() throws(HomeError) -> KeptSeed {
        switch try seedFile() {
        case .clear: .clear
        case .locked(let locked): .locked(locked.cost)
        case nil: .absent
        }
    }

    /// Whether opening the volume without its recovery phrase takes a passphrase.
    ///
    /// - Throws: as `keptSeed`.
    package func needsPassphrase() throws(HomeError) -> Bool {
        if case .locked = try keptSeed() { true } else { false }
    }

    // MARK: The lock

    /// Seals the kept seed under `passphrase`, durably; at any instant the file is the old one or
    /// the new.
    ///
    /// A mounted volume is not disturbed. The bytes of the old file are overwritten, which a
    /// journal, a snapshot or an SSD may outwit.
    ///
    /// - Throws: `already` if it is locked, `notFound` if none is kept, `usage` while the recovery
    ///   phrase lies beside it.
    package func lockSeed(
        under passphrase: Passphrase,
        cost: PassphraseCost = .moderate
    ) throws(HomeError) {
        try changingKeys { () throws(HomeError) in
            let seed = try lockableSeed()
            guard try isOwner(seed) else {
                throw HomeError(.wrongSecret, "\(seedPath) is not the seed of volume '\(name)'")
            }
            let locked = try withSealing { () throws(SealingError) in
                try LockedSeed(sealing: seed, under: passphrase, for: id, cost: cost)
            }
            try replaceSeedFile(Hex.encode(locked.bytes), erasingOld: true)
        }
    }

    /// Tells whether `lockSeed` has something to lock.
    ///
    /// - Throws: as it does.
    package func checkLockable() throws(HomeError) { _ = try lockableSeed() }

    private func lockableSeed() throws(HomeError) -> RootSeed {
        guard let kept = try seedFile() else {
            throw HomeError(
                .notFound,
                "no key of volume '\(name)' is kept on this machine: nothing to lock"
            )
        }
        guard case .clear(let seed) = kept else {
            throw HomeError(
                .already,
                "the key of volume '\(name)' is locked; 'mefs key unlock' takes the lock away"
            )
        }
        guard !WholeFile.exists(phrasePath) else {
            throw HomeError(
                .usage,
                "\(phrasePath) opens the volume too; move it away from this machine first"
            )
        }
        return seed
    }

    /// Takes the lock away: the seed is in clear again, as it was before `lockSeed`.
    ///
    /// - Throws: `wrongSecret` if the passphrase is another one, `already` if there is no lock,
    ///   `notFound` if no seed is kept.
    package func unlockSeed(with passphrase: Passphrase) throws(HomeError) {
        try changingKeys { () throws(HomeError) in
            switch try seedFile() {
            case .locked(let locked):
                let seed = try open(locked, passphrase)
                try replaceSeedFile(Hex.encode(seed.bytes), erasingOld: false)
            case .clear:
                throw HomeError(.already, "the key of volume '\(name)' is not locked")
            case nil:
                throw HomeError(
                    .notFound,
                    "no key of volume '\(name)' is kept on this machine"
                )
            }
        }
    }

    /// Keeps `seed` on this machine, where there is none or one that nobody can open any more.
    ///
    /// - Throws: `wrongSecret` if it is another owner's.
    package func keepSeed(_ seed: RootSeed) throws(HomeError) {
        guard try isOwner(seed) else {
            throw HomeError(.wrongSecret, "this seed does not open volume '\(name)'")
        }
        try changingKeys { () throws(HomeError) in
            try replaceSeedFile(Hex.encode(seed.bytes), erasingOld: false)
        }
    }

    // MARK: The volume's key

    /// How often the volume's key was changed.
    package var keyGeneration: UInt32? { WrappedVolumeKey.generation(of: file.wrappedKey) }

    /// Keeps another key of the volume, sealed by its owner's seed, durably: at any instant the
    /// directory has the old one or the new.
    ///
    /// Keepers have the old one until `register`. The volume is held by the caller (`lock`).
    package func replaceKey(
        _ key: VolumeKey,
        sealedBy seed: RootSeed
    ) throws(HomeError) -> VolumeDirectory {
        try changingKeys { () throws(HomeError) in
            var changed = file
            changed.wrappedKey = try withSealing { () throws(SealingError) in
                try seed.wrap(key, for: id)
            }
            try withDisk { () throws(DiskError) in
                // In this order: a key that keepers do not have is registered at the next mount.
                try WholeFile.remove(registeredPath)
                try Directory.sync(path)
                try WholeFile.replace(path + "/volume.json", with: changed.encoded())
            }
            return VolumeDirectory(home: home, name: name, file: changed)
        }
    }

    /// Runs `body` while nobody else changes the volume's keys.
    func changingKeys<Result>(
        _ body: () throws(HomeError) -> Result
    ) throws(HomeError) -> Result {
        let lock: FileLock
        do throws(FileLock.Failure) {
            lock = try FileLock(path + "/keys.lock")
        } catch {
            switch error {
            case .disk(let error): throw HomeError(error)
            case .held:
                throw HomeError(
                    .already,
                    "the keys of volume '\(name)' are just being changed by another process"
                )
            }
        }
        defer { lock.release() }
        try withDisk { () throws(DiskError) in
            // A process that was killed while it took a lock away has left the seed in clear.
            let draft = seedPath + ".new"
            guard WholeFile.exists(draft) else { return }
            try Self.overwrite(try Descriptor(opening: draft, .readWrite))
            try WholeFile.remove(draft)
        }
        return try body()
    }

    /// Removes what a killed change of the keys has left, unless one goes on just now.
    func clearKeyDrafts() { try? changingKeys {} }

    private func replaceSeedFile(_ digits: String, erasingOld: Bool) throws(HomeError) {
        try withDisk { () throws(DiskError) in
            // Held open: after the rename it has no name.
            let old = erasingOld ? try Descriptor(opening: seedPath, .readWrite) : nil
            try WholeFile.replace(seedPath, with: Array((digits + "\n").utf8), permissions: 0o600)
            if let old { try Self.overwrite(old) }
        }
    }

    // MARK: Reading

    private func keptSeed(_ passphrase: Passphrase?) throws(HomeError) -> RootSeed {
        switch try seedFile() {
        case .clear(let seed): return seed
        case .locked(let locked):
            guard let passphrase else {
                throw HomeError(
                    .wrongSecret,
                    "the key of volume '\(name)' is locked; give its passphrase on a terminal or"
                        + " with passphrase-file, or its recovery phrase"
                )
            }
            return try open(locked, passphrase)
        case nil:
            throw HomeError(
                .wrongSecret,
                "no key of volume '\(name)' is kept on this machine; give its recovery phrase"
            )
        }
    }

    private func open(
        _ locked: LockedSeed,
        _ passphrase: Passphrase
    ) throws(HomeError) -> RootSeed {
        do throws(SealingError) {
            return try locked.open(with: passphrase, for: id)
        } catch {
            guard case .corrupt = error else { throw HomeError(.failed, "\(error)") }
            throw HomeError(
                .wrongSecret,
                "wrong passphrase for the key of volume '\(name)', or \(seedPath) was changed"
            )
        }
    }

    /// What the file holds; `nil` if there is none.
    private func seedFile() throws(HomeError) -> SeedFile? {
        var bytes: [UInt8]
        do throws(DiskError) {
            bytes = try WholeFile.read(seedPath, limit: Self.smallFileBytesMax)
        } catch {
            guard error.isNotFound else { throw HomeError(error) }
            return nil
        }
        defer { SecretBytes.wipe(&bytes) }
        let digits = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
        var content = Hex.decode(digits) ?? []
        defer { SecretBytes.wipe(&content) }
        if content.count == RootSeed.byteCount { return .clear(RootSeed(trusted: content)) }
        guard content.count == LockedSeed.byteCount else {
            throw HomeError(
                .corrupt,
                "\(seedPath) is neither 64 hexadecimal digits nor a locked key; give the recovery"
                    + " phrase"
            )
        }
        do throws(SealingError) {
            return .locked(try LockedSeed(parsing: content))
        } catch {
            throw HomeError(.corrupt, "\(seedPath): \(error); give the recovery phrase")
        }
    }

    /// Runs `body` and gives its error as damage to our files: the owner is known to be right.
    func withSealing<Result>(
        _ body: () throws(SealingError) -> Result
    ) throws(HomeError) -> Result {
        do throws(SealingError) {
            return try body()
        } catch {
            throw HomeError(.corrupt, "volume '\(name)' cannot be unlocked: \(error)")
        }
    }
}
