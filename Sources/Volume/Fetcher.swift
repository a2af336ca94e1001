import Cache
import Disk
import Logging
import Metadata
import Primitives
import Sealing
import Synchronization

/// Segments of one block that are wanted in the cache.
struct FetchRequest: Hashable, Sendable {
    let index: BlockIndex
    let segments: SegmentMask
}

/// Brings placed bytes into the cache: each block once however many ask, several in parallel,
/// and ahead of a sequential reader.
///
/// Every byte passes its AEAD tag before it is cached.
final class Fetcher: Sendable {
    /// Parallel fetches: enough to keep six providers busy over links of some 20 ms.
    private static let threadCount = 8
    /// Fetches waiting for a thread; above it readahead is skipped and readers fetch themselves.
    private static let queueMax = 64
    /// The farthest readahead, in blocks: 16 MiB, a whole stripe of 4+2.
    private static let readaheadMax = 16

    private struct Key: Hashable {
        let ino: InodeNumber
        let index: BlockIndex
    }

    private struct Job: Sendable {
        let content: FileContent
        let request: FetchRequest
        let flight: Flight
    }

    /// A flight that a reader takes, and whether it began for this reader.
    private struct Departure {
        let flight: Flight
        let request: FetchRequest
        let isOurs: Bool
    }

    /// One fetch under way and who waits for it.
    private final class Flight: Sendable {
        let segments: SegmentMask
        private let outcome = Condition<Result<Void, FileSystemError>?>(nil)

        init(segments: SegmentMask) { self.segments = segments }

        func finish(_ result: Result<Void, FileSystemError>) {
            outcome.update { $0 = result }
        }

        func wait() throws(FileSystemError) {
            try outcome.wait(until: { $0 }).get()
        }
    }

    private let metadata: MetadataStore
    private let cache: CacheStore
    private let reader: StripeReader
    private let key: VolumeKey
    private let logger: Logger
    private let flights = Mutex<[Key: Flight]>([:])
    private let queue = BoundedQueue<Job>(limit: queueMax)
    private let threads = Mutex<[Thread]>([])

    init(
        metadata: MetadataStore,
        cache: CacheStore,
        reader: StripeReader,
        key: VolumeKey,
        logger: Logger
    ) {
        self.metadata = metadata
        self.cache = cache
        self.reader = reader
        self.key = key
        self.logger = logger
    }

    func start() throws(FileSystemError) {
        for number in 0..<Self.threadCount {
            do {
                let thread = try Thread.spawn("fetch-\(number)") { [self] in
                    while let job = queue.take() { run(job) }
                }
                threads.withLock { $0.append(thread) }
            } catch {
                throw FileSystemError(.inputOutput, error.description)
            }
        }
    }

    func stop() {
        queue.close()
        for thread in threads.withLock({ $0 }) { thread.join() }
    }

    /// Fetches `requests` and waits for all; when `reading` is sequential, more follows behind.
    func fetch(
        _ requests: [FetchRequest],
        of content: FileContent,
        reading range: Range<UInt64>,
        size: UInt64
    ) throws(FileSystemError) {
        let isSequential =
            range.lowerBound == content.nextSequential.load(ordering: .relaxed)
        guard isSequential else {
            content.readahead.store(0, ordering: .relaxed)
            return try fetch(requests, of: content)
        }
        // A sequential reader will want the whole blocks.
        let whole = requests.map { FetchRequest(index: $0.index, segments: .all) }
        let flights = launch(whole, of: content)
        let window = min(Self.readaheadMax, max(2, content.readahead.load(ordering: .relaxed) * 2))
        content.readahead.store(window, ordering: .relaxed)
        prefetch(after: range.upperBound, count: window, of: content, size: size)
        try wait(for: flights, of: content)
    }

    /// Fetches `requests` and waits for all.
    func fetch(_ requests: [FetchRequest], of content: FileContent) throws(FileSystemError) {
        try wait(for: launch(requests, of: content), of: content)
    }

    /// Waits for all; a flight that had begun before and failed is tried once more, because
    /// providers may have come back since it looked for them.
    private func wait(
        for departures: [Departure],
        of content: FileContent
    ) throws(FileSystemError) {
        for departure in departures {
            do throws(FileSystemError) {
                try departure.flight.wait()
            } catch {
                guard !departure.isOurs else { throw error }
                for again in launch([departure.request], of: content) { try again.flight.wait() }
            }
        }
    }

    /// Notes a read that the cache served, so that readahead stays ahead of a sequential reader.
    func noteRead(_ range: Range<UInt64>, of content: FileContent, size: UInt64) {
        let expected = content.nextSequential.load(ordering: .relaxed)
        content.nextSequential.store(range.upperBound, ordering: .relaxed)
        guard expected == range.lowerBound else { return }
        let window = content.readahead.load(ordering: .relaxed)
        guard window > 0 else { return }
        let before = BlockIndex(containing: range.lowerBound)
        let after = BlockIndex(containing: range.upperBound)
        guard before != after else { return }
        let wider = min(Self.readaheadMax, window * 2)
        content.readahead.store(wider, ordering: .relaxed)
        prefetch(after: range.upperBound, count: wider, of: content, size: size)
    }

    // MARK: Parts

    private func prefetch(
        after offset: UInt64,
        count: Int,
        of content: FileContent,
        size: UInt64
    ) {
        guard offset < size else { return }
        let first = BlockIndex(containing: offset).rawValue
        let last = min(first + UInt64(count), BlockIndex(containing: size - 1).rawValue)
        guard first <= last else { return }
        let wanted = content.state.read { state in
            (first...last).compactMap { index -> FetchRequest? in
                guard let mask = state.blocks[index]?.missing(.all), !mask.isEmpty else {
                    return nil
                }
                return FetchRequest(index: BlockIndex(index), segments: mask)
            }
        }
        for request in wanted where queue.count < Self.queueMax / 2 {
            _ = launch([request], of: content)
        }
    }

    /// Joins or starts a flight for each request.
    private func launch(_ requests: [FetchRequest], of content: FileContent) -> [Departure] {
        requests.map { request in
            let key = Key(ino: content.ino, index: request.index)
            let (flight, isNew) = flights.withLock { flights in
                if let flight = flights[key], flight.segments.isSuperset(of: request.segments) {
                    return (flight, false)
                }
                let flight = Flight(segments: request.segments)
                flights[key] = flight
                return (flight, true)
            }
            if isNew {
                let job = Job(content: content, request: request, flight: flight)
                if !queue.tryPut(job) { run(job) }
            }
            return Departure(flight: flight, request: request, isOurs: isNew)
        }
    }

    private func run(_ job: Job) {
        let key = Key(ino: job.content.ino, index: job.request.index)
        let result: Result<Void, FileSystemError>
        do throws(FileSystemError) {
            try fetchBlock(job.request, of: job.content)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        flights.withLock { flights in
            if flights[key] === job.flight { flights[key] = nil }
        }
        if case .failure(let error) = result {
            logger.error("inode \(job.content.ino.rawValue): \(error.message)")
        }
        job.flight.finish(result)
    }

    private func fetchBlock(
        _ request: FetchRequest,
        of content: FileContent
    ) throws(FileSystemError) {
        let known = content.state.read { state -> (BlockLocation, SegmentMask)? in
            guard let block = state.blocks[request.index.rawValue], let location = block.location
            else { return nil }
            let missing = block.missing(request.segments)
            return missing.isEmpty ? nil : (location, missing)
        }
        guard let (location, missing) = known, let span = missing.span else { return }
        let fileKey = try fileKey(of: content)
        let stripe: StripeRecord
        do throws(FileSystemError) {
            stripe = try metadata.stripe(location.stripe)
        } catch {
            // Rewritten and reclaimed meanwhile: the caller looks at the new location.
            let now = content.state.read { $0.blocks[request.index.rawValue]?.location }
            if now?.stripe != location.stripe { return }
            throw FileSystemError(.corrupt, "a placed block cannot be found: \(error.message)")
        }
        let plain = try openSegments(span, at: location, in: stripe, fileKey: fileKey)
        try keep(plain, span, of: request.index, at: location, in: content)
    }

    /// Reads and opens a run of segments; plaintext, segment after segment.
    private func openSegments(
        _ span: ClosedRange<Int>,
        at location: BlockLocation,
        in stripe: StripeRecord,
        fileKey: FileKey
    ) throws(FileSystemError) -> [UInt8] {
        let range = try location.payloadRange(of: span, in: stripe)
        let blockKey = fileKey.blockKey(stripe: stripe.id, offset: location.offset)
        let sealed = range.isEmpty ? [] : try reader.read(stripe, range)
        if let plain = try open(sealed, span, at: location, key: blockKey) { return plain }
        for suspects in reader.suspicions(stripe, range) {
            guard let again = try? reader.read(stripe, range, distrusting: suspects) else {
                continue
            }
            if let plain = try open(again, span, at: location, key: blockKey) {
                reader.report(suspects, of: stripe)
                return plain
            }
        }
        throw FileSystemError(
            .corrupt,
            "stripe \(stripe.id.short): no set of shards gives bytes that pass their tags"
        )
    }

    /// The plaintext, or `nil` if a tag does not match.
    private func open(
        _ sealed: [UInt8],
        _ span: ClosedRange<Int>,
        at location: BlockLocation,
        key: Sealing::BlockKey
    ) throws(FileSystemError) -> [UInt8]? {
        let start = span.lowerBound * Geometry.segmentBytes
        let end = min(Int(location.plainBytes), (span.upperBound + 1) * Geometry.segmentBytes)
        var plain = [UInt8](repeating: 0, count: max(0, end - start))
        do {
            let sealer = try SegmentSealer()
            try plain.withUnsafeMutableBytes { plain in
                try sealed.withUnsafeBytes { sealed in
                    var at = 0
                    for segment in span {
                        let length = Int(location.segmentBytes[segment])
                        let from = segment * Geometry.segmentBytes - start
                        let to = min(plain.count, from + Geometry.segmentBytes)
                        if length > 0 {
                            try sealer.open(
                                UnsafeRawBufferPointer(rebasing: sealed[at..<at + length]),
                                index: segment,
                                key: key,
                                into: UnsafeMutableRawBufferPointer(rebasing: plain[from..<to])
                            )
                        }
                        at += length
                    }
                }
            }
            return plain
        } catch {
            return nil
        }
    }

    /// Writes fetched bytes to the cache, unless the block changed meanwhile.
    private func keep(
        _ plain: [UInt8],
        _ span: ClosedRange<Int>,
        of index: BlockIndex,
        at location: BlockLocation,
        in content: FileContent
    ) throws(FileSystemError) {
        try content.state.write { state throws(FileSystemError) in
            guard !state.isReaped, var block = state.blocks[index.rawValue],
                block.dirtySince == nil, let now = block.location,
                now.stripe == location.stripe, now.offset == location.offset
            else { return }
            let start = span.lowerBound * Geometry.segmentBytes
            // A truncation since then keeps the place but lowers what is valid.
            let count = min(plain.count, Int(now.validBytes) - start)
            if count > 0 {
                try cache.write(
                    content.ino,
                    offset: index.offset + UInt64(start),
                    plain.prefix(count)
                )
            }
            let fetched = SegmentMask(
                covering: start..<(span.upperBound + 1) * Geometry.segmentBytes
            )
            block.resident.formUnion(fetched)
            try metadata.setResident(content.ino, index, block.resident.rawValue)
            state.blocks[index.rawValue] = block
        }
    }

    private func fileKey(of content: FileContent) throws(FileSystemError) -> FileKey {
        if let key = content.state.read({ $0.fileKey }) { return key }
        let opened = try content.state.write { state throws(FileSystemError) in
            try state.openKey(of: content.ino, in: metadata, under: key)
        }
        guard let opened else {
            throw FileSystemError(.corrupt, "inode \(content.ino.rawValue) has no file key")
        }
        return opened
    }
}

extension BlockLocation {
    /// Where the sealed bytes of a run of segments lie in the stripe's payload.
    ///
    /// - Throws: `corrupt` if the row names segments or bytes that are not there.
    func payloadRange(
        of span: ClosedRange<Int>,
        in stripe: StripeRecord
    ) throws(FileSystemError) -> Range<Int> {
        guard span.upperBound < segmentBytes.count else {
            throw FileSystemError(.corrupt, "stripe \(stripe.id.short): a block row is too short")
        }
        let start = segmentBytes[..<span.lowerBound].reduce(Int(offset)) { $0 + Int($1) }
        let end = segmentBytes[span].reduce(start) { $0 + Int($1) }
        guard end <= stripe.payloadBytes else {
            throw FileSystemError(.corrupt, "stripe \(stripe.id.short): a block row points past it")
        }
        return start..<end
    }
}
