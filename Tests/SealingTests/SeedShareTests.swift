import Glibc
import Primitives
import Sealing
import Testing

struct SeedShareTests {
    private let seed = RootSeed(trusted: sequence(from: 0x40, count: 32))

    /// The set of the golden shares: random byte i is (37 i + 11) mod 256.
    private func goldenSet() -> [SeedShare] {
        var drawn = 0
        return SeedShare.split(seed, k: 3, n: 5) { count in
            defer { drawn += count }
            return (drawn..<drawn + count).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }
        }
    }

    /// Made by another implementation: four lines of eight words each.
    private func goldenWords() throws -> [String] {
        let lines = try GoldenFile.lines("seed-shares.txt")
        return stride(from: 0, to: lines.count, by: 4).map {
            lines[$0..<min($0 + 4, lines.count)].joined(separator: " ")
        }
    }

    @Test func sharesAreAsWrittenDown() throws {
        let golden = try goldenWords()
        #expect(golden.count == 5)
        #expect(goldenSet().map { $0.words.joined(separator: " ") } == golden)
        let read = try golden.map { try SeedShare(parsing: $0) }
        #expect(read == goldenSet())
        #expect(read.map(\.number) == [1, 2, 3, 4, 5])
        #expect(read.allSatisfy { $0.k == 3 && $0.n == 5 && $0.setName == "0b30557a" })
        #expect(try SeedShare.combine([read[4], read[0], read[2]]) == seed)
    }

    /// Every choice of k shares out of n, for all k ≤ n ≤ 10.
    @Test(arguments: 1...10)
    func everyChoiceOfEnoughSharesGivesTheSeed(n: Int) throws {
        for k in 1...n {
            let shares = SeedShare.split(seed, k: k, n: n)
            for choice in 1..<(1 << n) {
                let chosen = shares.indices.filter { choice >> $0 & 1 == 1 }.map { shares[$0] }
                if chosen.count < k {
                    let expected = ShareError.tooFew(chosen.count, needed: k)
                    #expect(throws: expected) { try SeedShare.combine(chosen) }
                } else if chosen.count == k || choice == (1 << n) - 1 {
                    #expect(try SeedShare.combine(chosen) == seed, "\(k) of \(n): \(choice)")
                }
            }
        }
    }

    @Test func theMostSharesAreMade() throws {
        let shares = SeedShare.split(seed, k: 200, n: 255)
        #expect(try SeedShare.combine(Array(shares.suffix(200))) == seed)
        #expect(try SeedShare(parsing: shares[254].words.joined(separator: " ")) == shares[254])
    }

    /// With k = 2 a share's byte is s + a x: over all a it takes every value once, whatever s is.
    ///
    /// So one share of two says nothing at all.
    @Test func oneShareOfTwoIsEquallyLikelyForEverySecret() throws {
        for secret: UInt8 in [0, 1, 0x53, 0xff] {
            let seed = RootSeed(trusted: [UInt8](repeating: secret, count: 32))
            var seen: [Int: Set<String>] = [:]
            for a in 0...255 {
                let shares = SeedShare.split(seed, k: 2, n: 3) { count in
                    [UInt8](repeating: UInt8(a), count: count)
                }
                // The set's id and the checksum differ with a, so only words of the share count:
                // bytes 8 to 39 are within words 6 to 28.
                for share in shares {
                    let words = share.words[6...28].joined(separator: " ")
                    seen[share.number, default: []].insert(words)
                }
            }
            #expect(seen.values.allSatisfy { $0.count == 256 }, "\(secret)")
        }
    }

    /// Chi-square with 255 degrees of freedom: over 400 once in some ten billion.
    @Test func bytesOfASharesAreUniform() throws {
        for seed in [RootSeed(trusted: [UInt8](repeating: 0, count: 32)), seed] {
            var counts = [Int](repeating: 0, count: 256)
            for _ in 0..<2000 {
                let share = SeedShare.split(seed, k: 3, n: 3)[1]
                // Word 8 begins at bit 88, a byte's first: bytes 11 to 21 in words 8 to 15.
                var bits = 0
                var pending = 0
                for word in share.words[8..<16] {
                    let index = try #require(Self.list.firstIndex(of: word))
                    pending = (pending << 11 | index) & 0xfffff
                    bits += 11
                    while bits >= 8 {
                        bits -= 8
                        counts[pending >> bits & 0xff] += 1
                    }
                }
            }
            let expected = Double(2000 * 11) / 256
            let square = counts.reduce(0) { $0 + pow(Double($1) - expected, 2) / expected }
            #expect(square < 400, "\(square)")
        }
    }

    /// The list itself, by way of the phrases of known seeds.
    private static let list: [String] = {
        var words = [String](repeating: "", count: 2048)
        for start in stride(from: 0, to: 2048, by: 23) {
            var bits: [Int] = []
            for index in start..<start + 23 {
                bits += (0..<11).map { (index & 2047) >> (10 - $0) & 1 }
            }
            bits += [0, 0, 0]
            let bytes = (0..<32).map { byte in
                bits[byte * 8..<byte * 8 + 8].reduce(UInt8(0)) { $0 << 1 | UInt8($1) }
            }
            let phrase = RecoveryPhrase(seed: RootSeed(trusted: bytes)).words
            for index in 0..<23 where start + index < 2048 { words[start + index] = phrase[index] }
        }
        return words
    }()

    @Test func foreignAndRepeatedSharesAreRefused() throws {
        let one = SeedShare.split(seed, k: 2, n: 3)
        let two = SeedShare.split(seed, k: 2, n: 3)
        #expect(throws: ShareError.mixed) { try SeedShare.combine([one[0], two[1]]) }
        #expect(throws: ShareError.repeated(2)) { try SeedShare.combine([one[1], one[1]]) }
        #expect(throws: ShareError.tooFew(1, needed: 2)) { try SeedShare.combine([one[2]]) }
        #expect(throws: ShareError.tooFew(0, needed: 1)) { try SeedShare.combine([]) }
    }

    /// Same set, same k and n, another seed: only a share too many tells.
    @Test func aForgedShareAmongTooManyIsFound() throws {
        let random = { (count: Int) in [UInt8](repeating: 3, count: count) }
        let shares = SeedShare.split(seed, k: 2, n: 4, random: random)
        let forged = SeedShare.split(.random(), k: 2, n: 4, random: random)[3]
        #expect(throws: ShareError.contradictory) {
            try SeedShare.combine([shares[0], shares[1], forged])
        }
        #expect(try SeedShare.combine([shares[0], forged]) != seed)
        #expect(try SeedShare.combine(shares) == seed)
    }

    @Test func everyWrongWordIsNoticed() throws {
        let words = goldenSet()[0].words
        var generator = SeededGenerator(seed: 9)
        for position in words.indices {
            for _ in 0..<40 {
                var wrong = words
                wrong[position] = try #require(Self.list.randomElement(using: &generator))
                guard wrong != words else { continue }
                #expect(throws: ShareError.wrongChecksum) {
                    try SeedShare(parsing: wrong.joined(separator: " "))
                }
            }
            var misspelt = words
            misspelt[position] += "s"
            #expect(throws: ShareError.self) {
                try SeedShare(parsing: misspelt.joined(separator: " "))
            }
        }
        for other in words.indices.dropFirst() where words[other] != words[other - 1] {
            var swapped = words
            swapped.swapAt(other, other - 1)
            #expect(throws: ShareError.wrongChecksum) {
                try SeedShare(parsing: swapped.joined(separator: " "))
            }
        }
        for count in 0..<32 {
            #expect(throws: ShareError.wrongWordCount(count)) {
                try SeedShare(parsing: words.prefix(count).joined(separator: " "))
            }
        }
    }

    @Test func remarksAndCapitalsAreAllowed() throws {
        let share = goldenSet()[1]
        let words = share.words.joined(separator: "\n\t").uppercased()
        let text = "# share 2\n  # kept by Ada\n" + words
        #expect(try SeedShare(parsing: text) == share)
    }

    @Test func sharesAreNotPrinted() {
        var text = ""
        let share = goldenSet()[0]
        dump(share, to: &text)
        text += "\(share) \(String(reflecting: share))"
        #expect(text.contains("SeedShare(secret)"))
        #expect(!share.words.contains { text.contains(" \($0) ") })
    }
}
