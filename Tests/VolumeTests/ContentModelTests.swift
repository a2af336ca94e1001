import Primitives
import Testing
import Volume

/// Random operations on one file against an array of bytes.
@Suite(.serialized)
struct ContentModelTests {
    /// What may happen to a file.
    private enum Step: CaseIterable {
        case write, write2, append, read, truncate, punch, zero, copy, place, drop, reopen, sync
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8])
    func fileEqualsItsModel(seed: UInt64) throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: seed)
            var model: [UInt8] = []
            var left = 250
            try fixture.open { engine in _ = try engine.makeFile("a") }
            while left > 0 {
                try fixture.open { engine in
                    let ino = try engine.find("a")
                    while left > 0 {
                        left -= 1
                        guard let step = Step.allCases.randomElement(using: &random) else { break }
                        if step == .reopen { break }
                        try run(step, on: engine, ino, &model, &random)
                        #expect(try engine.attributes(of: ino).size == UInt64(model.count))
                    }
                    try compare(engine, ino, model)
                }
            }
        }
    }

    private func run(
        _ step: Step,
        on engine: VolumeEngine,
        _ ino: InodeNumber,
        _ model: inout [UInt8],
        _ random: inout SeededGenerator
    ) throws {
        let sizeMax = 5 << 20
        let at = Int.random(in: 0...min(model.count + 100_000, sizeMax - 1), using: &random)
        let reach = Bool.random(using: &random) ? 3_000 : 2_500_000
        let count = Int.random(in: 1...min(reach, sizeMax - at), using: &random)
        switch step {
        case .write, .write2, .append:
            let start = step == .append ? min(model.count, sizeMax - 1) : at
            let bytes = Array(random.bytes(min(count, sizeMax - start)))
            try engine.write(bytes, at: UInt64(start), to: ino)
            model.overwrite(with: bytes, at: start)
        case .read:
            let end = min(model.count, at + count)
            let expected = at < end ? Array(model[at..<end]) : []
            #expect(try engine.read(ino, at..<at + count) == expected)
        case .truncate:
            try engine.resize(ino, to: UInt64(at))
            model.resize(to: at)
        case .punch:
            let range = UInt64(at)..<UInt64(at + count)
            try engine.punchHole(ino, range: range, wait: .allowed)
            model.zero(at..<max(at, min(model.count, at + count)))
        case .zero:
            let range = UInt64(at)..<UInt64(at + count)
            try engine.zeroRange(ino, range: range, keepSize: false, wait: .allowed)
            if model.count < at + count { model.resize(to: at + count) }
            model.zero(at..<at + count)
        case .copy:
            let target = Int.random(in: 0..<sizeMax, using: &random)
            let source = min(at, model.count)
            let length = min(count, model.count - source, sizeMax - target)
            guard length > 0, source + length <= target || target + length <= source else { return }
            let bytes = Array(model[source..<source + length])
            let copied = try engine.copyRange(
                from: ino,
                at: UInt64(source),
                to: ino,
                at: UInt64(target),
                count: UInt64(length),
                wait: .allowed
            )
            #expect(copied == UInt64(length))
            model.overwrite(with: bytes, at: target)
        case .place: try engine.place()
        case .drop: _ = try engine.dropCache()
        case .sync: try engine.sync(ino, dataOnly: false, wait: .allowed)
        case .reopen: break
        }
    }

    private func compare(_ engine: VolumeEngine, _ ino: InodeNumber, _ model: [UInt8]) throws {
        for start in stride(from: 0, to: model.count, by: 1 << 20) {
            let range = start..<min(model.count, start + 1 << 20)
            let isEqual = try engine.read(ino, range) == Array(model[range])
            #expect(isEqual, "bytes \(range)")
        }
    }
}

extension [UInt8] {
    fileprivate mutating func resize(to count: Int) {
        if count < self.count {
            removeLast(self.count - count)
        } else {
            append(contentsOf: repeatElement(0, count: count - self.count))
        }
    }

    fileprivate mutating func overwrite(with bytes: [UInt8], at start: Int) {
        if count < start + bytes.count { resize(to: start + bytes.count) }
        replaceSubrange(start..<start + bytes.count, with: bytes)
    }

    fileprivate mutating func zero(_ range: Range<Int>) {
        guard range.lowerBound < range.upperBound, range.lowerBound < count else { return }
        let clipped = range.clamped(to: 0..<count)
        replaceSubrange(clipped, with: repeatElement(0, count: clipped.count))
    }
}
