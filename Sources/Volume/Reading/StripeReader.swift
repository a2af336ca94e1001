import Disk
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Synchronization
import Transport

/// Reads ranges of a stripe's payload from its shards, from any `k` of them if need be.
///
/// Shards are trusted with nothing: the caller checks what comes back by its AEAD tags and, if
/// they fail, asks again with other shards (`suspicions`).
///
/// Providers that are known to be slow are not waited for, and one that is late is overtaken:
/// `k` others are asked for the same range of theirs, and what comes first counts.
final class StripeReader: Sendable {
    /// Ranges at least so long are asked for in whole units of `unitBytes` when shards are
    /// missing: then what one reader rebuilds with is what the next one wants.
    private static let unitsFrom = 512 << 10
    private static let unitBytes = 64 << 10

    private let network: any StorageNetwork
    let key: VolumeKey
    let meters: Meters
    let custody: VolumeCustody?
    let logger: Logger
    let pace = ProviderPace()
    let ranges = ShardRanges()

    init(
        network: any StorageNetwork,
        key: VolumeKey,
        meters: Meters,
        custody: VolumeCustody?,
        logger: Logger
    ) {
        self.network = network
        self.key = key
        self.meters = meters
        self.custody = custody
        self.logger = logger
    }

    // MARK: Reading

    /// Reads payload bytes, from data shards where they answer and rebuilt where not.
    ///
    /// `distrusted` are indices of shards whose bytes must not be used.
    ///
    /// - Throws: `unavailable` if fewer than `k` shards can be read.
    func read(
        _ stripe: StripeRecord,
        _ range: Range<Int>,
        distrusting distrusted: Set<Int> = []
    ) throws(FileSystemError) -> [UInt8] {
        try finish(begin(stripe, range, distrusting: distrusted))
    }

    /// Asks for payload bytes without waiting; `finish` receives them.
    func begin(
        _ stripe: StripeRecord,
        _ range: Range<Int>,
        distrusting distrusted: Set<Int> = []
    ) -> Reading {
        // Of a stripe that lacks data shards, what one piece is rebuilt from is what others need.
        let resting = stripe.shards.filter { pace.isResting($0.provider) }
        var reading = Reading(
            stripe: stripe,
            range: range,
            distrusted: distrusted,
            restingCount: resting.count,
            isKept: resting.contains { $0.index < stripe.code.k }
        )
        for piece in Self.pieces(of: range, in: stripe) {
            reading.pieces.append(PieceReading(piece: piece))
            start(reading.pieces.count - 1, of: &reading)
        }
        return reading
    }

    /// Asks for payload bytes that somebody is likely to want soon; they are kept for a while.
    func prefetch(_ stripe: StripeRecord, _ range: Range<Int>) {
        for piece in Self.pieces(of: range, in: stripe) {
            guard let record = stripe.shard(piece.shard), !pace.isResting(record.provider) else {
                continue
            }
            send(ranges.cover(piece.range, of: record, isKept: true).new)
        }
    }

    /// Waits for what `begin` asked for.
    func finish(_ reading: Reading) throws(FileSystemError) -> [UInt8] {
        var reading = reading
        defer { ranges.release(reading.asks) }
        var bytes: [UInt8] = []
        for index in reading.pieces.indices {
            let part = try receive(index, of: &reading)
            if reading.pieces.count == 1 { return part }
            bytes.reserveCapacity(reading.range.count)
            bytes += part
        }
        return bytes
    }

    /// Lets go of what `begin` asked for and nobody wants any more.
    func abandon(_ reading: Reading) { ranges.release(reading.asks) }

    /// The sets of shards worth distrusting when bytes of `range` fail their tags, likeliest
    /// first: each shard that held them, then all of those, then every two of them, then each with
    /// another, for a wrong shard among those used to rebuild.
    func suspicions(_ stripe: StripeRecord, _ range: Range<Int>) -> [Set<Int>] {
        let holders = Self.pieces(of: range, in: stripe).map(\.shard)
        var sets = holders.map { Set([$0]) } + [Set(holders)]
        for (position, one) in holders.enumerated() {
            for two in holders[(position + 1)...] { sets.append([one, two]) }
        }
        for other in 0..<stripe.code.n where !holders.contains(other) {
            sets.append(Set(holders + [other]))
            for holder in holders { sets.append([holder, other]) }
        }
        return sets.filter { $0.count <= stripe.code.m }
    }

    /// Tells the log, `mefs status` and the custodian of shards that gave wrong bytes.
    func report(_ indices: Set<Int>, of stripe: StripeRecord) {
        for shard in stripe.shards where indices.contains(shard.index) {
            let message = "shard \(shard.shard.short) at provider \(shard.provider.short) is wrong"
            meters.noteShardError(message)
            custody?.noteDoubt(shard.index, of: stripe.id)
            logger.error("\(message); read around it")
        }
    }

    private static func pieces(of range: Range<Int>, in stripe: StripeRecord) -> [Piece] {
        var pieces: [Piece] = []
        var position = range.lowerBound
        while position < range.upperBound {
            let shard = position / stripe.shardBytes
            let start = shard * stripe.shardBytes
            let end = min(range.upperBound, start + stripe.shardBytes)
            pieces.append(Piece(shard: shard, range: position - start..<end - start))
            position = end
        }
        return pieces
    }

    // MARK: Asking

    /// Asks for a piece where it lies, or others in the place of one that rests.
    private func start(_ index: Int, of reading: inout Reading) {
        let piece = reading.pieces[index].piece
        guard let record = reading.stripe.shard(piece.shard),
            !reading.distrusted.contains(piece.shard)
        else { return askOthers(reading.stripe.code.k, for: index, of: &reading) }
        var standing = ProviderPace.Standing.good
        // When so many rest that others cannot help, all are slow: more requests would not help.
        if (1...reading.stripe.code.m).contains(reading.restingCount),
            !ranges.covers(piece.range, of: record.shard)
        {
            standing = pace.standing(of: record.provider)
        }
        if standing != .resting {
            reading.pieces[index].direct = ask(record, piece.range, for: &reading)
        }
        if standing != .good { askOthers(reading.stripe.code.k, for: index, of: &reading) }
    }

    /// Asks up to `count` more shards for the range of a piece.
    func askOthers(_ count: Int, for index: Int, of reading: inout Reading) {
        var candidates = reading.pieces[index].candidates ?? candidates(for: index, of: reading)
        for _ in 0..<count {
            guard let shard = candidates.popLast() else { break }
            guard let record = reading.stripe.shard(shard) else { continue }
            let column = ask(record, reading.pieces[index].piece.range, for: &reading)
            if shard == reading.pieces[index].piece.shard {
                reading.pieces[index].direct = column
            } else {
                reading.pieces[index].others.append(column)
            }
        }
        reading.pieces[index].candidates = candidates
    }

    /// Whom to ask for a piece's range, the likeliest last: what is there already first, and
    /// providers that rest only when nobody else is left.
    private func candidates(for index: Int, of reading: Reading) -> [Int] {
        let piece = reading.pieces[index].piece
        var ranked: [(rank: Int, shard: Int)] = []
        for shard in reading.stripe.shards where !reading.distrusted.contains(shard.index) {
            let isThere = ranges.covers(piece.range, of: shard.shard)
            let isResting = pace.isResting(shard.provider)
            if shard.index == piece.shard {
                if reading.pieces[index].direct == nil { ranked.append((4, shard.index)) }
            } else {
                ranked.append(((isThere ? 0 : 1) + (isResting ? 2 : 0), shard.index))
            }
        }
        return ranked.sorted { ($0.rank, $0.shard) > ($1.rank, $1.shard) }.map(\.shard)
    }

    private func ask(
        _ record: ShardRecord,
        _ range: Range<Int>,
        for reading: inout Reading
    ) -> Column {
        var wider = range
        if reading.isKept, range.count >= Self.unitsFrom {
            let start = range.lowerBound / Self.unitBytes * Self.unitBytes
            let end = (range.upperBound + Self.unitBytes - 1) / Self.unitBytes * Self.unitBytes
            wider = start..<min(end, reading.stripe.shardBytes)
        }
        let (parts, new) = ranges.cover(wider, of: record, isKept: reading.isKept)
        send(new)
        if !reading.isKept { reading.asks += new }
        let wanted = parts.compactMap { part -> ShardPart? in
            let clamped = part.range.clamped(to: range)
            return clamped.isEmpty ? nil : ShardPart(ask: part.ask, range: clamped)
        }
        return Column(record: record, parts: wanted)
    }

    private func send(_ asks: [ShardAsk]) {
        for ask in asks {
            let record = ask.record
            network.get(
                record.shard,
                from: record.provider,
                offset: ask.range.lowerBound,
                count: ask.range.count
            ).whenDone { [self] outcome in
                let time = Clock.monotonic() - ask.began
                switch outcome {
                case .success(let bytes) where bytes.count == ask.range.count:
                    meters.downloadedBytes.add(UInt64(bytes.count), ordering: .relaxed)
                    pace.note(record.provider, after: time, ok: true)
                    custody?.noteTransfer(with: record.provider, ok: true)
                    ask.reply.fulfil(outcome)
                case .success:
                    let error = NetworkError(.malformed, "other bytes than were asked for")
                    ask.reply.fulfil(.failure(error))
                case .failure(let error):
                    if error.isTransient { pace.note(record.provider, after: time, ok: false) }
                    if error.code != .notFound, error.code != .corrupt {
                        custody?.noteTransfer(with: record.provider, ok: !error.isTransient)
                    }
                    ask.reply.fulfil(outcome)
                }
            }
        }
    }
}

extension StripeRecord {
    /// The shard with that index, if it is known.
    func shard(_ index: Int) -> ShardRecord? {
        if shards.indices.contains(index), shards[index].index == index { return shards[index] }
        return shards.first { $0.index == index }
    }
}
