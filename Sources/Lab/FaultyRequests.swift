import ArgumentParser
import Disk
import Network
import Primitives
import Synchronization
import Transport
import Wire

/// How a provider misbehaves.
enum Misbehaviour: String, CaseIterable, ExpressibleByArgument {
    /// The answer says success and has random bytes, as many as the right ones.
    case garbage
    /// Random bytes in place of the answer's whole frame.
    case noise
    /// The first half of the answer's frame, and then nothing on that connection.
    case half
    /// No answer, ever; the connection stays.
    case never
    /// The right answer, late.
    case slow
}

/// A provider's answers, spoilt on their way.
struct FaultyRequests: RequestHandler {
    let honest: any RequestHandler
    let mode: Misbehaviour
    /// What is answered wrongly; anything else is answered as it should be.
    let operations: Set<UInt8>
    /// How many of the answers are wrong, 0...1.
    let share: Double
    let delay: Duration
    private let random: Spoiler

    init(
        _ honest: any RequestHandler,
        mode: Misbehaviour,
        operations: Set<UInt8>,
        share: Double,
        delay: Duration,
        seed: UInt64
    ) {
        self.honest = honest
        self.mode = mode
        self.operations = operations
        self.share = share
        self.delay = delay
        random = Spoiler(seed: seed)
    }

    func handle(_ request: Request, reply: Reply) {
        guard operations.contains(request.operation), random.chance(share) else {
            return honest.handle(request, reply: reply)
        }
        let (mode, delay, random) = (mode, delay, random)
        let spoilt = reply.altered { frame in
            switch mode {
            case .garbage: return random.garbage(like: frame)
            case .noise: return random.bytes(frame.count)
            case .half: return Array(frame.prefix(frame.count / 2))
            case .never: return nil
            case .slow:
                Clock.sleep(for: delay)
                return frame
            }
        }
        honest.handle(request, reply: spoilt)
    }
}

/// Random bytes and decisions from one seed, for any thread.
private final class Spoiler: Sendable {
    /// What garbage has if the right answer is empty.
    private static let garbageBytes = 64
    private let generator: Mutex<SeededGenerator>

    init(seed: UInt64) { generator = Mutex(SeededGenerator(seed: seed)) }

    func chance(_ share: Double) -> Bool {
        generator.withLock { Double.random(in: 0..<1, using: &$0) < share }
    }

    func bytes(_ count: Int) -> [UInt8] { generator.withLock { $0.bytes(count) } }

    /// A frame that answers the same request with success and a random body.
    func garbage(like frame: [UInt8]) -> [UInt8] {
        let header = Frame.replyHeaderBytes
        let bodyBytes = frame.count > header ? frame.count - header : Self.garbageBytes
        var writer = ByteWriter(capacity: header + bodyBytes)
        writer.integer(UInt32(header - 4 + bodyBytes))
        writer.raw(frame[4..<header - 1])
        writer.integer(UInt8(0))
        writer.raw(bytes(bodyBytes))
        return writer.bytes
    }
}
