import Primitives

/// One of `n` shares of a root seed, any `k` of which give it back: 32 words of the list of
/// BIP-39.
///
/// Format 1, 44 bytes: version (1) | set id (4) | k (1) | n (1) | x (1) | the seed's share (32) |
/// the first 4 bytes of the SHA-256 of what stands in front.
package struct SeedShare: Hashable, Secret {
    /// Words of a share.
    package static let wordCount = 32
    /// Shares of one set; each has a place of the field of its own.
    package static let sharesMax = 255
    private static let version: UInt8 = 1
    private static let headerBytes = 1 + setBytes + 3
    private static let setBytes = 4
    private static let checksumBytes = 4
    private static let byteCount = headerBytes + RootSeed.byteCount + checksumBytes

    /// Tells sets apart: 4 random bytes.
    package let set: [UInt8]
    /// The set's id as people see it.
    package var setName: String { Hex.encode(set) }
    /// Shares that give the seed.
    package let k: Int
    /// Shares that were made.
    package let n: Int
    /// Which of them this is, from 1; its place x.
    package let number: Int
    private let share: [UInt8]

    private init(set: [UInt8], k: Int, n: Int, number: Int, share: [UInt8]) {
        self.set = set
        self.k = k
        self.n = n
        self.number = number
        self.share = share
    }

    // MARK: Splitting

    /// Splits `seed` into `n` shares, 1 ≤ `k` ≤ `n` ≤ 255.
    ///
    /// `random` gives so many unpredictable bytes: first the set's id, then the coefficients of the
    /// polynomials. It is a parameter for golden tests.
    package static func split(
        _ seed: RootSeed,
        k: Int,
        n: Int,
        random: (Int) -> [UInt8] = SecureRandom.bytes
    ) -> [SeedShare] {
        let set = random(setBytes)
        var secret = seed.bytes
        var coefficients = k > 1 ? random(secret.count * (k - 1)) : []
        defer {
            SecretBytes.wipe(&secret)
            SecretBytes.wipe(&coefficients)
        }
        let shares = SecretSharing.split(secret, k: k, n: n, coefficients: coefficients)
        return shares.enumerated().map { index, share in
            SeedShare(set: set, k: k, n: n, number: index + 1, share: share)
        }
    }

    /// The seed of k or more shares; those above k are checked against the others.
    package static func combine(_ shares: [SeedShare]) throws(ShareError) -> RootSeed {
        guard let first = shares.first else { throw .tooFew(0, needed: 1) }
        var numbers: Set<Int> = []
        for share in shares {
            guard share.set == first.set, share.k == first.k, share.n == first.n else {
                throw .mixed
            }
            guard numbers.insert(share.number).inserted else { throw .repeated(share.number) }
        }
        guard shares.count >= first.k else { throw .tooFew(shares.count, needed: first.k) }
        let points = shares.prefix(first.k).map { (x: UInt8($0.number), bytes: $0.share) }
        for share in shares.dropFirst(first.k)
        where SecretSharing.bytes(at: UInt8(share.number), through: points) != share.share {
            throw .contradictory
        }
        var secret = SecretSharing.bytes(at: 0, through: points)
        defer { SecretBytes.wipe(&secret) }
        return RootSeed(trusted: secret)
    }

    // MARK: Words

    /// The 32 words.
    package var words: [String] { WordCode.words(of: checked + checksum) }

    private var checked: [UInt8] {
        [Self.version] + set + [UInt8(k), UInt8(n), UInt8(number)] + share
    }

    private var checksum: ArraySlice<UInt8> {
        SHA256.digest(checked).bytes.prefix(Self.checksumBytes)
    }

    /// Parses 32 words, in any case, with any white space between them; lines that begin with "#"
    /// are passed over.
    package init(parsing text: String) throws(ShareError) {
        let words = text.split(whereSeparator: \.isNewline)
            .filter { $0.first { !$0.isWhitespace } != "#" }
            .flatMap { $0.split(whereSeparator: \.isWhitespace) }
            .map { $0.lowercased() }
        guard words.count == Self.wordCount else { throw .wrongWordCount(words.count) }
        var bytes: [UInt8]
        do throws(PhraseError) {
            bytes = try WordCode.bytes(of: words)
        } catch {
            throw .word(error)
        }
        defer { SecretBytes.wipe(&bytes) }
        let front = Array(bytes.dropLast(Self.checksumBytes))
        guard SHA256.digest(front).bytes.prefix(Self.checksumBytes) == bytes.suffix(4) else {
            throw .wrongChecksum
        }
        guard bytes[0] == Self.version else { throw .unknownVersion(bytes[0]) }
        self.init(
            set: Array(bytes[1..<5]),
            k: Int(bytes[5]),
            n: Int(bytes[6]),
            number: Int(bytes[7]),
            share: Array(front.dropFirst(Self.headerBytes))
        )
        guard 1 <= k, k <= n, (1...n).contains(number) else { throw .impossible }
    }
}
