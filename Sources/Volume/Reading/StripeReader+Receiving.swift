import Disk
import Erasure
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Synchronization
import Transport

// Receiving what was asked for: from the shard that has it, or from `k` others.

extension StripeReader {
    /// How long rebuilding waits without any answer, of all whom it could ask.
    private static let rebuildPatience: Duration = .seconds(10)

    /// The bytes of a piece, from whoever is first.
    func receive(
        _ index: Int,
        of reading: inout Reading
    ) throws(FileSystemError) -> [UInt8] {
        let stripe = reading.stripe
        let piece = reading.pieces[index].piece
        if let direct = reading.pieces[index].direct, reading.pieces[index].others.isEmpty {
            waitForDirect(direct)
            if direct.isDone {
                if let bytes = bytes(of: direct, piece.range, in: stripe) { return bytes }
                reading.pieces[index].failed.insert(piece.shard)
            }
            askOthers(stripe.code.k, for: index, of: &reading)
        }
        return try race(index, of: &reading)
    }

    /// Waits until the direct answer is there, or so late that others may overtake it.
    private func waitForDirect(_ column: Column) {
        for part in column.parts where part.ask.reply.outcome == nil {
            let elapsed = Clock.monotonic() - part.ask.began
            let usual = pace.wait(for: column.record.provider)
            if elapsed < usual { _ = try? part.ask.reply.wait(for: usual - elapsed) }
            if part.ask.reply.outcome == nil, usual < ProviderPace.waitMax, !pace.takeHedge() {
                let rest = ProviderPace.waitMax - (Clock.monotonic() - part.ask.began)
                if rest > .zero { _ = try? part.ask.reply.wait(for: rest) }
            }
            if part.ask.reply.outcome == nil { return }
        }
    }

    /// Takes the piece from the shard that has it or from `k` others, whatever is there first,
    /// and asks more of them as some fail or are late.
    private func race(
        _ index: Int,
        of reading: inout Reading
    ) throws(FileSystemError) -> [UInt8] {
        let arrivals = Condition(0)
        var watched: Set<ObjectIdentifier> = []
        var lastChange = Clock.monotonic()
        while true {
            let seen = arrivals.withLock { $0 }
            if let bytes = try take(index, of: &reading) { return bytes }
            // As many as are still needed: a healthy stripe moves no byte too many.
            let state = reading.pieces[index]
            let alive = state.others.filter { !state.failed.contains($0.record.index) }
            let lacking = reading.stripe.code.k - alive.count
            if lacking > 0, state.hasCandidates {
                askOthers(lacking, for: index, of: &reading)
                lastChange = Clock.monotonic()
                continue
            }
            let late = lacking > 0 ? [] : alive.filter { !$0.isDone }
            let awaited = late + [state.direct].compactMap { $0 }.filter { !$0.isDone }
            guard !awaited.isEmpty else { break }
            for part in awaited.flatMap(\.parts)
            where watched.insert(ObjectIdentifier(part.ask)).inserted {
                part.ask.reply.whenDone { _ in arrivals.update { $0 += 1 } }
            }
            let usual = late.map { pace.wait(for: $0.record.provider) }.max()
            let patience =
                state.hasCandidates ? usual ?? ProviderPace.waitMax : Self.rebuildPatience
            let left = lastChange + patience - Clock.monotonic()
            let hasChanged =
                left > .zero && arrivals.wait(for: left) { $0 != seen ? true : nil } != nil
            guard hasChanged || state.hasCandidates else { break }
            if !hasChanged {
                for column in late { pace.noteLate(column.record.provider) }
                askOthers(max(1, late.count), for: index, of: &reading)
            }
            lastChange = Clock.monotonic()
        }
        let columns = reading.pieces[index].others
        let count = columns.filter { $0.isDone && $0.failure == nil }.count
        throw FileSystemError(
            .unavailable,
            "stripe \(reading.stripe.id.short): \(count) of \(reading.stripe.code.n) shards can be"
                + " read, \(reading.stripe.code.k) are needed; start the providers that hold it"
        )
    }

    /// The bytes of a piece, if by now enough has come.
    private func take(
        _ index: Int,
        of reading: inout Reading
    ) throws(FileSystemError) -> [UInt8]? {
        let stripe = reading.stripe
        let (piece, direct) = (reading.pieces[index].piece, reading.pieces[index].direct)
        if let direct, direct.isDone, !reading.pieces[index].failed.contains(piece.shard) {
            if let bytes = bytes(of: direct, piece.range, in: stripe) { return bytes }
            reading.pieces[index].failed.insert(piece.shard)
        }
        for column in reading.pieces[index].others where column.failure != nil {
            guard reading.pieces[index].failed.insert(column.record.index).inserted else {
                continue
            }
            _ = bytes(of: column, piece.range, in: stripe)
        }
        let failed = reading.pieces[index].failed
        let ready = reading.pieces[index].others.filter {
            $0.isDone && !failed.contains($0.record.index)
        }
        guard ready.count >= stripe.code.k else { return nil }
        var present: [(index: Int, bytes: [UInt8])] = []
        for column in ready.prefix(stripe.code.k) {
            guard let bytes = bytes(of: column, piece.range, in: stripe) else {
                reading.pieces[index].failed.insert(column.record.index)
                return try take(index, of: &reading)
            }
            present.append((column.record.index, bytes))
        }
        meters.degradedReads.add(1, ordering: .relaxed)
        if let direct, !direct.isDone { pace.noteLate(direct.record.provider) }
        return try decode(piece, of: stripe, from: present)
    }

    /// The unmasked bytes of `range`, or `nil` if the provider did not give them.
    private func bytes(
        of column: Column,
        _ range: Range<Int>,
        in stripe: StripeRecord
    ) -> [UInt8]? {
        let record = column.record
        if let error = column.failure {
            logger.debug("shard \(record.shard.short) is not available: \(error.message)")
            note(error, record, of: stripe)
            return nil
        }
        var sources: [(bytes: [UInt8], range: Range<Int>)] = []
        for part in column.parts {
            guard case .success(let bytes)? = part.ask.reply.outcome else { return nil }
            let start = part.range.lowerBound - part.ask.range.lowerBound
            sources.append((bytes, start..<start + part.range.count))
        }
        do {
            return try [UInt8](unsafeUninitializedCapacity: range.count) { target, count in
                for source in sources {
                    source.bytes.withUnsafeBytes { bytes in
                        UnsafeMutableRawBufferPointer(
                            rebasing: UnsafeMutableRawBufferPointer(target)[count...]
                        ).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[source.range]))
                    }
                    count += source.range.count
                }
                try ShardMask.apply(
                    to: UnsafeMutableRawBufferPointer(
                        rebasing: UnsafeMutableRawBufferPointer(target)[..<count]
                    ),
                    key: key.maskKey(for: record.shard),
                    offset: range.lowerBound
                )
            }
        } catch {
            logger.error("shard \(record.shard.short) cannot be unmasked: \(error)")
            return nil
        }
    }

    /// A provider that has lost a shard, or has another than it had, says nothing of itself, but
    /// the shard is to be looked at.
    private func note(_ error: NetworkError, _ shard: ShardRecord, of stripe: StripeRecord) {
        guard error.code == .notFound || error.code == .corrupt else { return }
        meters.noteShardError(
            "shard \(shard.shard.short) at provider \(shard.provider.short): \(error.message)"
        )
        custody?.noteDoubt(shard.index, of: stripe.id)
    }

    private func decode(
        _ piece: Piece,
        of stripe: StripeRecord,
        from present: [(index: Int, bytes: [UInt8])]
    ) throws(FileSystemError) -> [UInt8] {
        let count = piece.range.count
        let source = UnsafeMutableRawBufferPointer.allocate(
            byteCount: count * present.count,
            alignment: 64
        )
        defer { source.deallocate() }
        var views: [(index: Int, bytes: UnsafeRawBufferPointer)] = []
        for (position, shard) in present.enumerated() {
            let view = UnsafeMutableRawBufferPointer(
                rebasing: source[position * count..<(position + 1) * count]
            )
            view.copyBytes(from: shard.bytes)
            views.append((shard.index, UnsafeRawBufferPointer(view)))
        }
        var result = [UInt8](repeating: 0, count: count)
        do {
            try result.withUnsafeMutableBytes {
                try ErasureCoder(stripe.code).reconstruct([piece.shard], from: views, into: [$0])
            }
        } catch {
            throw FileSystemError(.corrupt, "stripe \(stripe.id.short) cannot be decoded: \(error)")
        }
        return result
    }
}
