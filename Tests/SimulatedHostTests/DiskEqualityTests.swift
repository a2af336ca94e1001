import Disk
import Glibc
import Primitives
import SimulatedHost
import Synchronization
import Testing

/// The simulated disk answers as a real one does.
struct DiskEqualityTests {
    /// What one call answered, sizes, bytes or error number.
    private typealias Answers = [String]

    @Test(arguments: 0..<8 as Range<UInt64>)
    func randomCallsAnswerAsTheKernelDoes(_ seed: UInt64) throws {
        let world = SimulatedWorld(seed: seed)
        let simulated = try world.run(on: world.machine("host")) {
            try Directory.make("/root")
            return Self.answers("/root", seed)
        }
        let directory = try makeScratch()
        defer { try? Directory.remove(tree: directory) }
        let real = Self.answers(directory, seed)
        let difference = zip(simulated, real).enumerated().first { $0.element.0 != $0.element.1 }
        #expect(
            simulated == real,
            "call \(difference?.offset ?? -1): \(difference?.element.0 ?? "") in simulation"
        )
    }

    private static func answers(_ root: String, _ seed: UInt64) -> Answers {
        var generator = SeededGenerator(seed: seed)
        var open: [Int: Descriptor] = [:]
        return (0..<400).map { _ in
            let answer = answer(root, &generator, &open)
            return answer.replacing(root, with: "")
        }
    }

    private static func answer(
        _ root: String,
        _ generator: inout SeededGenerator,
        _ open: inout [Int: Descriptor]
    ) -> String {
        func path() -> String {
            let directory = ["", "/d", "/e"][Int(generator.next() % 3)]
            return root + directory + "/f\(generator.next() % 4)"
        }
        let slot = Int(generator.next() % 4)
        let offset = generator.next() % 40_000
        let count = Int(generator.next() % 9_000)
        let byte = UInt8(1 + generator.next() % 255)
        do throws(DiskError) {
            switch generator.next() % 20 {
            case 0:
                try Directory.make(root + ["/d", "/e"][slot % 2])
                return "made"
            case 1:
                try WholeFile.remove(path())
                return "removed"
            case 2, 3, 4:
                let options: [Descriptor.Options] = [
                    [], .create, [.create, .exclusive], [.create, .truncate],
                ]
                open[slot] = nil
                open[slot] = try Descriptor(opening: path(), .readWrite, options[slot])
                return "opened"
            case 5:
                let (target, source) = (path(), path())
                try Directory.replace(target, with: source)
                return "replaced"
            case 6:
                let (source, target) = (path(), path())
                try Directory.rename(source, to: target)
                return "renamed"
            case 7: return try Directory.list(root).joined(separator: " ")
            case 8: return "\(WholeFile.exists(path())) \(Directory.isDirectory(path()))"
            default: break
            }
            guard let file = open[slot] else { return "none" }
            switch generator.next() % 9 {
            case 0, 1, 2:
                try file.write(at: offset, [UInt8](repeating: byte, count: count))
            case 3: try file.truncate(to: offset)
            case 4: try file.punchHole(offset..<offset + UInt64(count))
            case 5: try file.zeroRange(offset..<offset + UInt64(count), keepSize: byte % 2 == 0)
            case 6: try file.allocate(offset..<offset + UInt64(count), keepSize: byte % 2 == 0)
            case 7: try file.syncData()
            default:
                let bytes = try file.read(at: offset, count: count)
                return summary(bytes)
            }
            return "\(try file.size()) \(summary(try file.read(at: 0, count: 60_000)))"
        } catch {
            return "error \(error.errno)"
        }
    }

    /// Count and sum of the bytes, eight at a time.
    private static func summary(_ bytes: [UInt8]) -> String {
        let padded = bytes + [UInt8](repeating: 0, count: 8 - bytes.count % 8)
        let sum = padded.withUnsafeBytes { buffer in
            buffer.bindMemory(to: UInt64.self).reduce(UInt64(17)) { $0 &* 31 &+ $1 }
        }
        return "\(bytes.count) \(sum)"
    }
}
