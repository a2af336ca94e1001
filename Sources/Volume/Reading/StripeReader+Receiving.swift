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
            guard !awaited.isEmpty else {
                // The last may have come since they were taken.
                let failed = state.failed.count
                if let bytes = try take(index, of: &reading) { return bytes }
                guard reading.pieces[index].failed.count > failed, state.hasCandidates else {
                    break
                }
                continue
            }
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
        guard let columns = columns(ready.prefix(stripe.code.k), at: index, of: &reading) else {
            return try take(index, of: &reading)
        }
        defer { columns.memory.deallocate() }
        meters.degradedReads.add(1, ordering: .relaxed)
        if let direct, !direct.isDone { pace.noteLate(direct.record.provider) }
        return try decode(piece, of: stripe, from: columns.views)
    }

    /// The unmasked bytes of columns in memory that the caller frees; `nil`, with who is to blame
    /// noted, if some cannot be had.
    private func columns(
        _ columns: ArraySlice<Column>,
        at index: Int,
        of reading: inout Reading
    ) -> (
        memory: UnsafeMutableRawBufferPointer, views: [(index: Int, bytes: UnsafeRawBufferPointer)]
    )? {
        let range = reading.pieces[index].piece.range
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: range.count * columns.count,
            alignment: 64
        )
        var views: [(index: Int, bytes: UnsafeRawBufferPointer)] = []
        for column in columns {
            let start = views.count * range.count
            let view = UnsafeMutableRawBufferPointer(
                rebasing: memory[start..<start + range.count]
            )
            guard fill(view, from: column, range, in: reading.stripe) else {
                reading.pieces[index].failed.insert(column.record.index)
                memory.deallocate()
                return nil
            }
            views.append((column.record.index, UnsafeRawBufferPointer(view)))
        }
        return (memory, views)
    }

    /// The unmasked bytes of `range`, or `nil` if the provider did not give them.
    private func bytes(
        of column: Column,
        _ range: Range<Int>,
        in stripe: StripeRecord
    ) -> [UInt8]? {
        var isFilled = false
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { target, count in
            let whole = UnsafeMutableRawBufferPointer(target)
            let target = UnsafeMutableRawBufferPointer(rebasing: whole[..<range.count])
            isFilled = fill(target, from: column, range, in: stripe)
            count = isFilled ? range.count : 0
        }
        return isFilled ? bytes : nil
    }

    /// Writes the unmasked bytes of `range`; `false` if the provider did not give them.
    private func fill(
        _ target: UnsafeMutableRawBufferPointer,
        from column: Column,
        _ range: Range<Int>,
        in stripe: StripeRecord
    ) -> Bool {
        let record = column.record
        if let error = column.failure {
            logger.debug("shard \(record.shard.short) is not available: \(error.message)")
            note(error, record, of: stripe)
            return false
        }
        for part in column.parts {
            guard case .success(let bytes)? = part.ask.reply.outcome else { return false }
            let start = part.range.lowerBound - part.ask.range.lowerBound
            let end = part.range.upperBound - range.lowerBound
            bytes.withUnsafeBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: target[end - part.range.count..<end])
                    .copyMemory(
                        from: UnsafeRawBufferPointer(
                            rebasing: bytes[start..<start + part.range.count]
                        )
                    )
            }
        }
        do {
            let key = key.maskKey(for: record.shard)
            try ShardMask.apply(to: target, key: key, offset: range.lowerBound)
            return true
        } catch {
            logger.error("shard \(record.shard.short) cannot be unmasked: \(error)")
            return false
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
        from columns: [(index: Int, bytes: UnsafeRawBufferPointer)]
    ) throws(FileSystemError) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: piece.range.count)
        do {
            try result.withUnsafeMutableBytes {
                try ErasureCoder(stripe.code).reconstruct(
                    [piece.shard],
                    from: columns,
                    into: [$0]
                )
            }
        } catch {
            throw FileSystemError(.corrupt, "stripe \(stripe.id.short) cannot be decoded: \(error)")
        }
        return result
    }
}
