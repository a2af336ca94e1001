import Primitives
import Proofs
import Sealing
import Testing
import Wire

struct ReceiptFileTests {
    private let samples: Samples
    private let json: [UInt8]
    private var lines: [String] {
        String(decoding: json, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    init() throws {
        samples = try Samples()
        json = samples.file.encoded()
    }

    private func verify(
        _ json: [UInt8],
        trusting keepers: [PublicKey] = []
    ) throws -> ReceiptFile.Summary {
        try ReceiptFile(parsing: json).verify(trusting: keepers)
    }

    private func refusal(of file: ReceiptFile) -> ReceiptFileError? {
        do {
            _ = try ReceiptFile(parsing: file.encoded()).verify(trusting: [])
            return nil
        } catch {
            return error
        }
    }

    private func file(
        states: [OrderState]? = nil,
        grants: [Grant]? = nil,
        beacons: [BeaconBlock]? = nil,
        receipts: [Receipt]? = nil,
        proof: Proof? = nil
    ) -> ReceiptFile {
        ReceiptFile(
            terms: samples.custody.terms,
            states: states ?? samples.states,
            grants: grants ?? [samples.grant],
            beacons: beacons ?? samples.custody.beacons,
            receipts: receipts ?? samples.receipts,
            proof: proof ?? samples.proof
        )
    }

    @Test func fileIsReadBackAndBelieved() throws {
        let file = try ReceiptFile(parsing: json)
        #expect(file == samples.file)
        #expect(file.encoded() == json)
        let keeper = samples.custody.keeper.publicKey
        let summary = try file.verify(trusting: [keeper])
        #expect(summary.provider == samples.custody.terms.provider)
        #expect(summary.owner == samples.custody.owner.publicKey)
        #expect(summary.volume == samples.custody.terms.volume)
        #expect(summary.auditor == samples.auditor.publicKey && summary.keeper == keeper)
        #expect(summary.epochs == Epoch(500_001)...Epoch(500_007))
        #expect(summary.firstProved == samples.receipts[0].answered)
        #expect(summary.lastProved == samples.receipts[5].answered)
        #expect(summary.byteSeconds == samples.receipts[5].totalByteSeconds)
        #expect(summary.leaves == 4 * 8)
        #expect(summary.verdictCounts == [.ok: 3, .slow: 1, .unreachable: 1, .corrupt: 1])
        #expect(summary.notes.isEmpty)
    }

    @Test func keeperIsTrustedOrNamed() throws {
        let stranger = samples.custody.owner.publicKey
        #expect(throws: ReceiptFileError.self) { try verify(json, trusting: [stranger]) }
        let notes = try verify(json).notes
        #expect(notes.count == 1)
        #expect(notes[0].contains(samples.custody.keeper.publicKey.description))
    }

    /// A third party may lay the file out anew.
    @Test func whiteSpaceAndEscapesMeanNothing() throws {
        let text = String(decoding: json, as: UTF8.self)
        let dense = text.split(separator: "\n").map { $0.drop { $0 == " " } }.joined()
        #expect(try ReceiptFile(parsing: Array(dense.utf8)) == samples.file)
        let escaped = text.replacing("as \\\"ok\\\"", with: "\\u0061s \\u0022\\u006fk\\u0022")
        #expect(escaped != text)
        #expect(try ReceiptFile(parsing: Array(escaped.utf8)) == samples.file)
    }

    /// Every value in the file, changed to another of its kind.
    @Test func everyChangedFieldIsRefusedWithItsPlace() throws {
        var changed = 0
        for (index, line) in lines.enumerated() {
            guard let colon = line.firstRange(of: ": ") else { continue }
            let (name, value) = (line[..<colon.lowerBound], line[colon.upperBound...])
            for other in others(than: String(value)) {
                var lines = lines
                lines[index] = "\(name): \(other)"
                do {
                    _ = try verify(Array(lines.joined(separator: "\n").utf8))
                    Issue.record("believed: \(lines[index])")
                } catch let error as ReceiptFileError {
                    #expect(!error.place.isEmpty && !error.reason.isEmpty)
                    changed += 1
                }
            }
        }
        #expect(changed > 300)
    }

    /// Values like `value`, with a comma after them if it has one.
    private func others(than value: String) -> [String] {
        let comma = value.hasSuffix(",") ? "," : ""
        let bare = String(value.dropLast(comma.count))
        if bare.hasPrefix("[") || bare.hasPrefix("{") {
            guard bare.count > 1 else { return [] }
            return ["[]" + comma, "[\"audit\"]" + comma, "{}" + comma]
        }
        if bare == "null" { return ["0" + comma] }
        if let number = UInt64(bare) {
            return ["\(number &+ 1)\(comma)", "\(number &- 1)\(comma)", "\"\(number)\"\(comma)"]
        }
        let text = bare.dropFirst().dropLast()
        guard let first = text.first, let last = text.last else { return [] }
        let swapped: Character = last == "1" ? "2" : last == "Z" ? "z" : "1"
        let begun: Character = first == "a" ? "b" : "a"
        return [
            "\"\(text.dropLast())\(swapped)\"\(comma)", "\"\(begun)\(text.dropFirst())\"\(comma)",
            "\"\(text)0\"\(comma)", "\"\"\(comma)", "null\(comma)",
        ]
    }

    @Test func missingUnknownAndDoubledFieldsAreRefused() throws {
        let text = lines
        for (index, line) in text.enumerated() where line.contains(": ") {
            let name = line.split(separator: "\"")[1]
            var renamed = text
            renamed[index] = line.replacing("\"\(name)\":", with: "\"\(name)x\":")
            #expect(throws: ReceiptFileError.self) {
                try verify(Array(renamed.joined(separator: "\n").utf8))
            }
            guard line.hasSuffix(",") else { continue }
            var doubled = text
            doubled.insert(line, at: index)
            #expect(throws: ReceiptFileError.self) {
                try verify(Array(doubled.joined(separator: "\n").utf8))
            }
            var added = text
            added.insert("\"extra\": 1,", at: index)
            #expect(throws: ReceiptFileError.self) {
                try verify(Array(added.joined(separator: "\n").utf8))
            }
        }
    }

    @Test func brokenLinksAreNamed() throws {
        let receipts = samples.receipts
        var some = receipts
        some.remove(at: 3)
        #expect(refusal(of: file(receipts: some))?.place == "receipts[3].number")
        some = receipts
        some.swapAt(1, 2)
        #expect(refusal(of: file(receipts: some))?.place == "receipts[1].number")
        let beacons = samples.custody.beacons
        #expect(refusal(of: file(beacons: Array(beacons.dropLast())))?.place == "receipts[5].epoch")
        var gap = beacons
        gap.remove(at: 2)
        #expect(refusal(of: file(beacons: gap))?.place == "beacons[2].previous")
        #expect(
            refusal(of: file(states: Array(samples.states.dropLast())))?.place
                == "receipts[3].commitment"
        )
        #expect(refusal(of: file(grants: []))?.place == "receipts[0].auditorKey")
        #expect(refusal(of: file(proof: samples.proofs[3]))?.place == "proof.body")
    }

    @Test func twoStatesOfOneSequenceAreTold() throws {
        let custody = samples.custody
        let other = try OrderState(
            accepting: OrderProposal(
                order: custody.terms.id,
                sequence: 1,
                commitment: custody.state.commitment,
                at: Custody.opened,
                signedBy: custody.owner
            ),
            signedBy: custody.provider
        )
        let states = [samples.states[0], samples.states[1], other, samples.states[2]]
        let error = refusal(of: file(states: states))
        #expect(error?.place == "states[2].proposal.sequence")
        #expect(error?.reason.contains("two states") == true)
    }

    /// An auditor who signs more than was proved, or calls a proof by another name.
    @Test func auditorsOwnLiesAreFound() throws {
        let last = samples.receipts[5]
        let before = samples.receipts[4]
        func lie(
            _ verdict: Verdict,
            lastProved: Receipt? = nil,
            epochSeconds: UInt32 = Custody.epochSeconds
        ) throws -> ReceiptFileError? {
            let receipt = try Receipt(
                of: last.challenge,
                after: before,
                lastProved: lastProved ?? samples.receipts[3],
                epochSeconds: epochSeconds,
                asked: last.asked,
                answered: last.answered,
                verdict: verdict,
                reason: last.reason,
                proof: samples.proof,
                signedBy: samples.auditor
            )
            return refusal(of: file(receipts: samples.receipts.dropLast() + [receipt]))
        }
        #expect(try lie(.ok) == nil)
        #expect(try lie(.slow) == nil)
        let longer = try lie(.ok, lastProved: samples.receipts[0], epochSeconds: 36_000)
        #expect(longer?.place == "receipts[5].provedByteSeconds")
        for verdict: Verdict in [.missing, .corrupt, .forged] {
            #expect(try lie(verdict)?.place == "receipts[5].verdict")
        }
    }

    @Test func partOfAChainIsCountedFromWhereItBegins() throws {
        let part = file(receipts: Array(samples.receipts.dropFirst()))
        let summary = try part.verify(trusting: [samples.custody.keeper.publicKey])
        #expect(summary.receipts == 5)
        #expect(summary.notes.count == 1 && summary.notes[0].contains("1 receipts before"))
        let sums = samples.receipts[2...].map(\.provedByteSeconds)
        #expect(summary.byteSeconds == sums.reduce(0, +))
    }

    @Test func fileWithoutReceiptsSaysNothing() throws {
        let none = ReceiptFile(
            terms: samples.custody.terms,
            states: [],
            grants: [],
            beacons: [],
            receipts: [],
            proof: nil
        )
        let summary = try ReceiptFile(parsing: none.encoded()).verify(trusting: [])
        #expect(summary.receipts == 0 && summary.epochs == nil && summary.byteSeconds == 0)
        #expect(summary.auditor == nil && summary.keeper == nil)
    }

    /// No change of a byte is believed with another meaning; nothing traps.
    @Test func changedBytesAreRefusedOrMeanTheSame() {
        var generator = SeededGenerator(seed: 77)
        for _ in 0..<300 {
            var bytes = json
            let index = Int(generator.next() % UInt64(bytes.count))
            bytes[index] ^= 1 << UInt8(generator.next() % 8)
            guard let file = try? ReceiptFile(parsing: bytes) else { continue }
            if (try? file.verify(trusting: [])) != nil { #expect(file == samples.file) }
        }
        for count in stride(from: 0, to: json.count - 2, by: 97) {
            #expect(throws: ReceiptFileError.self) {
                try ReceiptFile(parsing: Array(json[..<count]))
            }
        }
    }

    @Test(arguments: [
        "", "{", "[", "\"", "{}", "[[[[[[[[[[[[[[[[[[", "{\"a\":1,\"a\":1}", "01", "1.5", "1e5",
        "-1", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\x\"", "nul", "true", "{,}",
        "18446744073709551616", "[1,]", "\"\u{1}\"", "null null",
    ])
    func otherTextIsRefused(text: String) {
        #expect(throws: ReceiptFileError.self) { try ReceiptFile(parsing: Array(text.utf8)) }
    }

    @Test func bytesAreAsWrittenDown() throws {
        try Golden.expectText(
            String(decoding: json, as: UTF8.self),
            "proofs/receipts.json"
        )
    }

    @Test(arguments: [0, 1, 999_999_999] as [UInt32])
    func timesKeepTheirNanoseconds(nanoseconds: UInt32) throws {
        let opened = Timestamp(seconds: 951_782_399, nanoseconds: nanoseconds)
        let file = ReceiptFile(
            terms: OrderTerms(
                volume: samples.custody.terms.volume,
                ownerKey: samples.custody.terms.ownerKey,
                provider: samples.custody.terms.provider,
                generation: .max,
                opened: opened
            ),
            states: [],
            grants: [],
            beacons: [],
            receipts: [],
            proof: nil
        )
        let json = file.encoded()
        #expect(String(decoding: json, as: UTF8.self).contains("\"2000-02-28T23:59:59."))
        #expect(try ReceiptFile(parsing: json).terms.opened == opened)
    }
}
