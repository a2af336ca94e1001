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

    /// All of the block.
    var whole: FetchRequest { FetchRequest(index: index, segments: .all) }
}

/// Brings placed bytes into the cache: each block once however many ask, several in parallel,
/// and ahead of a sequential reader.
///
/// Every byte passes its AEAD tag before it is cached. Who needs bytes fetches them on its own
/// thread; what is fetched ahead is asked for at once and opened by the threads here.
final class Fetcher: Sendable {
    /// Threads that open what was fetched ahead: more than cores, since they wait for providers
    /// and disk.
    private static let threadCount = 8
    /// Fetches waiting for a thread.
    private static let queueMax = 64
    /// The farthest readahead, in blocks: 16 MiB, a whole stripe of 4+2, all of it on its way at
    /// once; that fills links of 2.5 Gbit/s and 50 ms.
    private static let readaheadMax = 16
    /// What the first read of a file fetches at least: most files are smaller, and who reads on
    /// gets more.
    private static let firstBytes = 256 << 10

    private struct Key: Hashable {
        let ino: InodeNumber
        let index: BlockIndex
    }

    /// A fetch whose bytes were asked for.
    private struct Job: Sendable {
        let content: FileContent
        let request: FetchRequest
        let flight: Flight
        let opening: Result<Opening?, FileSystemError>
    }

    /// A flight that a reader takes; with the work to do for it, if it began for this reader.
    private struct Departure {
        let flight: Flight
        let request: FetchRequest
        let job: Job?
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

    let metadata: MetadataStore
    let cache: CacheStore
    let blocks: BlockReader
    let key: VolumeKey
    private let logger: Logger
    private let flights = Mutex<[Key: Flight]>([:])
    private let queue = BoundedQueue<Job>(limit: queueMax)
    let windows = NeighbourWindows()
    /// What was opened for who reads snapshots, of which nothing enters the cache.
    let opened = OpenedBlocks()
    /// Whether bytes are kept that must be let go of in time.
    private let keeps = Condition((isKeeping: false, isStopping: false))
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
        blocks = BlockReader(reader)
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
        do {
            let thread = try Thread.spawn("fetch-forget") { [self] in forgetLoop() }
            threads.withLock { $0.append(thread) }
        } catch {
            throw FileSystemError(.inputOutput, error.description)
        }
    }

    func stop() {
        queue.close()
        keeps.update { $0.isStopping = true }
        for thread in threads.withLock({ $0 }) { thread.join() }
    }

    /// Drops what was fetched and not asked for yet.
    func forgetFetched() {
        blocks.reader.ranges.forgetAll()
        opened.forgetAll()
    }

    func noteKept() {
        guard !keeps.withLock({ $0.isKeeping }) else { return }
        keeps.update { $0.isKeeping = true }
    }

    /// Gives the memory of bytes back that nobody came for; asleep while none are kept.
    private func forgetLoop() {
        while keeps.wait(until: { $0.isStopping ? false : $0.isKeeping ? true : nil }) {
            let mustStop = keeps.wait(for: ShardRanges.keptTime) { $0.isStopping ? true : nil }
            if mustStop != nil { return }
            let keepsMore = [blocks.reader.ranges.trim(), opened.trim()].contains(true)
            if !keepsMore { keeps.withLock { $0.isKeeping = false } }
        }
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
        let window = content.readahead.load(ordering: .relaxed)
        // A sequential reader will want the whole blocks; whether this is one shows at the second
        // read.
        let isFirst = range.lowerBound == 0 && window == 0
        let wanted = requests.map { request in
            isFirst ? firstRequest(request, of: content) : request.whole
        }
        let departures = launch(wanted, of: content)
        let wider = isFirst ? 1 : min(Self.readaheadMax, max(2, window * 2))
        content.readahead.store(wider, ordering: .relaxed)
        if !isFirst { prefetch(after: range.upperBound, count: wider, of: content, size: size) }
        try wait(for: departures, of: content)
    }

    /// Fetches `requests` and waits for all.
    func fetch(_ requests: [FetchRequest], of content: FileContent) throws(FileSystemError) {
        try wait(for: launch(requests, of: content), of: content)
    }

    /// What a first read fetches: all of a block that takes little room, else at least its
    /// beginning.
    private func firstRequest(_ request: FetchRequest, of content: FileContent) -> FetchRequest {
        let isSmall = content.state.read { state in
            let location = state.blocks[request.index.rawValue]?.location
            return (location?.sealedBytes ?? 0) <= UInt64(Self.firstBytes)
        }
        guard !isSmall else { return request.whole }
        let first = SegmentMask(covering: 0..<Self.firstBytes)
        return FetchRequest(index: request.index, segments: request.segments.union(first))
    }

    /// Does what is ours to do and waits for the rest; a flight that had begun before and failed
    /// is tried once more, because providers may have come back since it looked for them.
    private func wait(
        for departures: [Departure],
        of content: FileContent
    ) throws(FileSystemError) {
        for job in departures.compactMap(\.job) { run(job) }
        for departure in departures {
            do throws(FileSystemError) {
                try departure.flight.wait()
            } catch {
                guard departure.job == nil else { throw error }
                for again in launch([departure.request], of: content) {
                    if let job = again.job { run(job) }
                    try again.flight.wait()
                }
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
            for departure in launch([request], of: content) {
                if let job = departure.job, !queue.tryPut(job) { run(job) }
            }
        }
    }

    /// Joins or starts a flight for each request; the bytes of those that start are asked for.
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
            guard isNew else { return Departure(flight: flight, request: request, job: nil) }
            let job = Job(
                content: content,
                request: request,
                flight: flight,
                opening: prepare(request, of: content)
            )
            return Departure(flight: flight, request: request, job: job)
        }
    }

    private func run(_ job: Job) {
        let key = Key(ino: job.content.ino, index: job.request.index)
        let result: Result<Void, FileSystemError>
        do throws(FileSystemError) {
            if let opening = try job.opening.get() {
                let plain = try open(opening)
                try keep(
                    plain,
                    opening.span.segments,
                    of: job.request.index,
                    at: opening.span.location,
                    in: job.content
                )
            }
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
}
