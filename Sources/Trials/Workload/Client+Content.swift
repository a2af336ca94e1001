import Disk
import Primitives
import Volume

/// Operations on the bytes of files.
extension Client {
    /// What a change of a file should leave.
    private struct FileChange {
        let text: String
        /// The size afterwards.
        let size: UInt64
        /// The bytes that become others; `nil` for zeros.
        var parts: [(range: Range<Int>, bytes: [UInt8]?)] = []
        /// Whether the engine does it in several steps.
        var isLoose = false
        let run: (VolumeEngine) throws(FileSystemError) -> Void
    }

    /// Writes somewhere, at the end, or over what is there.
    func write(_ kind: Kind) throws(TrialFailure) {
        guard let ino = anyFile() else { return }
        try changeFile(ino) { client, size in
            let count = client.anyCount()
            let offset: Int
            switch kind {
            case .append: offset = size
            case .overwrite:
                guard size > 0 else { return nil }
                offset = client.anyOffset(below: size)
            default: offset = client.anyOffset(below: size + 200_000)
            }
            let room = client.roomLeft(size)
            let end = min(offset + count, kind == .overwrite ? size : room)
            guard offset < end else { return nil }
            let tag = client.model.state.withLock { $0.lastOperation + 1 }
            let bytes = Pattern.bytes(tag, count: end - offset, &client.random)
            let file = client.localFile(ino)
            let way = file == nil ? "" : " unseen"
            return FileChange(
                text: "\(kind)\(way) \(ino.rawValue) \(offset)..<\(end)",
                size: UInt64(max(size, end)),
                parts: [(offset..<end, bytes)]
            ) { engine throws(FileSystemError) in
                guard let file else { return try engine.write(all: bytes, at: offset, to: ino) }
                do throws(DiskError) {
                    try file.write(at: UInt64(offset), bytes)
                } catch {
                    throw FileSystemError(error)
                }
            }
        }
    }

    /// Truncates or extends.
    func resize(_ kind: Kind) throws(TrialFailure) {
        guard let ino = anyFile() else { return }
        try changeFile(ino) { client, size in
            let wanted = client.anyOffset(below: min(size + 100_000, client.roomLeft(size) + 1))
            guard kind == .truncate else {
                let start = UInt64(min(wanted, size))
                let range = start..<UInt64(max(wanted, size))
                guard !range.isEmpty else { return nil }
                return FileChange(
                    text: "allocate \(ino.rawValue) \(range)",
                    size: range.upperBound
                ) { engine throws(FileSystemError) in
                    try engine.allocate(ino, range: range, keepSize: false, wait: .allowed)
                }
            }
            let new = Int.random(in: 0..<5, using: &client.random) == 0 ? 0 : wanted
            return FileChange(
                text: "truncate \(ino.rawValue) to \(new)",
                size: UInt64(new),
                parts: new < size ? [(new..<size, nil)] : []
            ) { engine throws(FileSystemError) in
                var change = AttributeChange()
                change.size = UInt64(new)
                _ = try engine.setAttributes(change, of: ino, wait: .allowed)
            }
        }
    }

    /// Punches a hole, or zeros a range.
    func zero(_ kind: Kind) throws(TrialFailure) {
        guard let ino = anyFile() else { return }
        try changeFile(ino) { client, size in
            let offset = client.anyOffset(below: size + 10_000)
            let isLong = Int.random(in: 0..<3, using: &client.random) == 0
            let count =
                isLong
                ? Int.random(in: 1...1_500_000, using: &client.random)
                : client.anyCount()
            let grows = kind == .zero && Bool.random(using: &client.random)
            let end = min(offset + count, max(size, client.roomLeft(size)))
            guard offset < end else { return nil }
            let range = UInt64(offset)..<UInt64(end)
            return FileChange(
                text: "\(kind) \(ino.rawValue) \(offset)..<\(end)",
                size: UInt64(grows ? max(size, end) : size),
                parts: [(offset..<end, nil)],
                isLoose: true
            ) { engine throws(FileSystemError) in
                if kind == .punch {
                    try engine.punchHole(ino, range: range, wait: .allowed)
                } else {
                    try engine.zeroRange(ino, range: range, keepSize: !grows, wait: .allowed)
                }
            }
        }
    }

    /// Copies from one file to another, or within one.
    func copy() throws(TrialFailure) {
        guard let source = anyFile(), let target = anyFile() else { return }
        guard open(source) else { return }
        defer { close(source) }
        try changeFile(target, with: source) { client, size in
            // The source is held too, so its newest bytes are what is copied.
            let (bytes, sourceSize) = client.model.state.withLock { state in
                (state.nodes[source]?.content.latest ?? [], Int(state.state(source)?.size ?? 0))
            }
            guard sourceSize > 0 else { return nil }
            let from = client.anyOffset(below: sourceSize)
            let to = client.anyOffset(below: size + 50_000)
            let room = client.roomLeft(size)
            let most = min(Geometry.blockBytes, max(0, room - to))
            let count = min(client.anyCount(), sourceSize - from, most)
            guard count > 0, source != target || from + count <= to || to + count <= from
            else { return nil }
            let isKnown = client.model.state.withLock { state in
                state.nodes[source]?.content.isSure(from..<from + count) ?? false
            }
            guard isKnown else { return nil }
            let copied = (from..<from + count).map { $0 < bytes.count ? bytes[$0] : 0 }
            return FileChange(
                text: "copy \(source.rawValue) \(from) to \(target.rawValue) \(to), \(count) bytes",
                size: UInt64(max(size, to + count)),
                parts: [(to..<to + count, copied)],
                isLoose: true
            ) { engine throws(FileSystemError) in
                var done: UInt64 = 0
                while done < UInt64(count) {
                    let got = try engine.copyRange(
                        from: source,
                        at: UInt64(from) + done,
                        to: target,
                        at: UInt64(to) + done,
                        count: UInt64(count) - done,
                        wait: .allowed
                    )
                    guard got > 0 else {
                        throw FileSystemError(.invalid, "copied \(done) of \(count) bytes")
                    }
                    done += got
                }
            }
        }
    }

    // MARK: Parts

    /// Holds a file, has `choose` say what to do by its size, and does it on engine and model.
    private func changeFile(
        _ ino: InodeNumber,
        with other: InodeNumber? = nil,
        _ choose: (Client, Int) -> FileChange?
    ) throws(TrialFailure) {
        guard open(ino) else { return }
        defer { close(ino) }
        let claim = Model.Claim(inodes: Array(Set([ino, other ?? ino])).sorted())
        model.take(claim)
        defer { model.give(claim) }
        guard !life.isDown, let before = model.state.withLock({ $0.state(ino) }),
            let change = choose(self, Int(before.size))
        else { return }
        var after = before
        after.size = change.size
        let number = model.state.withLock { [after] state in
            let number = state.begin(change.text, [ino: after], isLoose: change.isLoose)
            for part in change.parts {
                state.nodes[ino]?.content.add(
                    ContentHistory.Change(
                        operation: number,
                        range: part.range,
                        bytes: part.bytes
                    )
                )
            }
            return number
        }
        model.note("\(self.number): \(number) \(change.text)")
        switch ask({ () throws(FileSystemError) in try change.run(engine) }) {
        case .down: return
        case .failed(let error):
            guard isWeather(error) else { throw fail(change.text, error) }
            model.note("\(self.number): \(number) failed: \(error.code)")
            model.state.withLock { $0.nodes[ino]?.content.doubt(number) }
            try settle(number, ino, change.text, [before.size, after.size])
        case .done:
            try settle(number, ino, change.text, [after.size])
        }
    }

    /// Takes over the attributes that a change of a file has left.
    func settle(
        _ number: Int,
        _ ino: InodeNumber,
        _ text: String,
        _ sizes: [UInt64]
    ) throws(TrialFailure) {
        switch ask({ () throws(FileSystemError) in try engine.attributes(of: ino) }) {
        case .down: return
        case .failed(let error): throw fail("attributes after \(text)", error)
        case .done(let attributes):
            guard sizes.contains(attributes.size) else {
                throw TrialFailure(
                    "\(text): the size is \(attributes.size), expected \(sizes)"
                )
            }
            let difference = model.state.withLock { state -> String? in
                guard var now = state.state(ino) else { return nil }
                now.size = attributes.size
                let difference = now.difference(to: attributes)
                now.adopt(attributes)
                state.settle(number, ino, now)
                state.end(number)
                return difference
            }
            if let difference { throw TrialFailure("\(text): of \(ino.rawValue) \(difference)") }
        }
    }

    /// Mostly small, sometimes more than a block.
    private func anyCount() -> Int {
        let count =
            switch Int.random(in: 0..<20, using: &random) {
            case ..<10: Int.random(in: 1...9_000, using: &random)
            case ..<17: Int.random(in: 1...150_000, using: &random)
            default: Int.random(in: 100_000...1_300_000, using: &random)
            }
        return count
    }

    /// Somewhere below `end`; often where something begins or ends.
    private func anyOffset(below end: Int) -> Int {
        guard end > 0 else { return 0 }
        let offset = Int.random(in: 0..<end, using: &random)
        let unit =
            switch Int.random(in: 0..<8, using: &random) {
            case 0: 1 << 20
            case 1: 64 << 10
            case 2: 4096
            case 3: 512
            default: 1
            }
        return offset / unit * unit
    }

    /// How large a file of `size` bytes may become.
    func roomLeft(_ size: Int) -> Int {
        let total = model.state.withLock { state in
            state.files.reduce(0) { $0 + (state.state($1)?.size ?? 0) }
        }
        guard total < Self.volumeBytesMax else { return size }
        return min(Self.fileBytesMax, size + Int(Self.volumeBytesMax - total))
    }
}

extension VolumeEngine {
    /// Writes all of `bytes`.
    func write(
        all bytes: [UInt8],
        at offset: Int,
        to ino: InodeNumber
    ) throws(FileSystemError) {
        let result = bytes.withUnsafeBytes { buffer -> Result<Int, FileSystemError> in
            do throws(FileSystemError) {
                return .success(
                    try write(ino, offset: UInt64(offset), from: buffer, wait: .allowed)
                )
            } catch {
                return .failure(error)
            }
        }
        guard try result.get() == bytes.count else {
            throw FileSystemError(.inputOutput, "a short write")
        }
    }

    /// Reads up to `count` bytes.
    func read(
        _ ino: InodeNumber,
        at offset: Int,
        count: Int
    ) throws(FileSystemError) -> [UInt8] {
        // Not zeros, so that bytes which are not filled show.
        var bytes = [UInt8](repeating: 0xaa, count: count)
        let result = bytes.withUnsafeMutableBytes { buffer -> Result<Int, FileSystemError> in
            do throws(FileSystemError) {
                return .success(
                    try read(ino, offset: UInt64(offset), into: buffer, wait: .allowed)
                )
            } catch {
                return .failure(error)
            }
        }
        bytes.removeLast(count - (try result.get()))
        return bytes
    }
}
