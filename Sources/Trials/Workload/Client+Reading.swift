import Disk
import Metadata
import Primitives
import Volume

/// Reads, syncs and attributes.
extension Client {
    /// Reads part of a file and compares it with what it may hold.
    func read() throws(TrialFailure) {
        guard let ino = anyFile(), open(ino) else { return }
        defer { close(ino) }
        let isLong = Int.random(in: 0..<4, using: &random) == 0
        let (began, size) = model.state.withLock { state in
            state.tick += 1
            return (state.tick, Int(state.state(ino)?.size ?? 0))
        }
        let offset = isLong ? 0 : Int.random(in: 0...size, using: &random)
        let count = Int.random(in: 1...(isLong ? size + 10 : 70_000), using: &random)
        let file = localFile(ino)
        let answer = ask { () throws(FileSystemError) in
            guard let file else { return try engine.read(ino, at: offset, count: count) }
            do throws(DiskError) {
                return try file.read(at: UInt64(offset), count: count)
            } catch {
                throw FileSystemError(error)
            }
        }
        switch answer {
        case .down: return
        case .failed(let error):
            guard isWeather(error) else { throw fail("read \(ino.rawValue)", error) }
        case .done(let found):
            let wrong = model.state.withLock { state in
                state.whatIsWrong(with: found, at: offset, count: count, of: ino, since: began)
            }
            if let wrong {
                throw TrialFailure("read \(ino.rawValue) \(offset)+\(count): \(wrong)")
            }
        }
    }

    func sync(_ kind: Kind) throws(TrialFailure) {
        guard let ino = anyFile(), open(ino) else { return }
        defer { close(ino) }
        let began = model.state.withLock { state in
            state.tick += 1
            return state.tick
        }
        let isUsed = model.state.withLock { $0.busy.contains(ino) }
        model.note("\(number): sync \(ino.rawValue) at \(began)\(isUsed ? ", in use" : "")")
        let answer = ask { () throws(FileSystemError) in
            try engine.sync(ino, dataOnly: kind == .syncData, wait: .allowed)
        }
        switch answer {
        case .down: return
        case .failed(let error): throw fail("sync \(ino.rawValue)", error)
        case .done:
            model.note("\(number): synced \(ino.rawValue) at \(began)")
            model.state.withLock { state in
                state.acknowledge(content: ino, since: began)
                state.acknowledge(metadata: began)
            }
        }
    }

    func syncDirectory() throws(TrialFailure) {
        guard let ino = pick(model.state.withLock { $0.directories }) else { return }
        let began = model.state.withLock { state in
            state.tick += 1
            return state.tick
        }
        let answer = ask { () throws(FileSystemError) in
            try engine.syncDirectory(ino, wait: .allowed)
        }
        switch answer {
        case .down: return
        case .failed(let error): throw fail("sync directory \(ino.rawValue)", error)
        case .done:
            model.note("\(number): synced names at \(began)")
            model.state.withLock { $0.acknowledge(metadata: began) }
        }
    }

    /// Places everything; then what it holds is safe without this machine.
    func syncToNetwork() throws(TrialFailure) {
        let began = model.state.withLock { state in
            state.tick += 1
            return state.tick
        }
        model.note("\(number): sync to the network")
        let answer = ask { () throws(FileSystemError) in
            try engine.syncToNetwork { _ in }
        }
        switch answer {
        case .down: return
        case .failed(let error):
            guard isWeather(error) else { throw fail("sync to the network", error) }
        case .done:
            model.note("\(number): synced to the network at \(began)")
            model.state.withLock { state in
                for ino in state.nodes.keys { state.acknowledge(content: ino, since: began) }
                state.acknowledge(metadata: began)
            }
        }
    }

    /// Drops what is clean from the cache.
    func drop() throws(TrialFailure) {
        model.note("\(number): drop the cache")
        switch ask({ () throws(FileSystemError) in try engine.dropCache() }) {
        case .down, .done: return
        case .failed(let error): throw fail("drop the cache", error)
        }
    }

    /// Changes mode, times or an extended attribute of a file or symbolic link.
    func change(_ kind: Kind) throws(TrialFailure) {
        guard let ino = anyFile(), open(ino) else { return }
        defer { close(ino) }
        let claim = Model.Claim(inodes: [ino])
        model.take(claim)
        defer { model.give(claim) }
        guard !life.isDown, let before = model.state.withLock({ $0.state(ino) }) else { return }
        if kind == .xattr { return try changeXattr(ino, before) }
        var change = AttributeChange()
        var after = before
        if Bool.random(using: &random) {
            let mode = UInt16(Int.random(in: 0...0o777, using: &random))
            change.mode = mode
            after.mode = mode
        } else {
            let seconds = Int64.random(in: 0...2_000_000_000, using: &random)
            change.modified = Timestamp(seconds: seconds, nanoseconds: 5)
        }
        let text = "change attributes of \(ino.rawValue)"
        try changeInode(ino, text, after) { engine throws(FileSystemError) in
            _ = try engine.setAttributes(change, of: ino, wait: .allowed)
        }
    }

    private func changeXattr(
        _ ino: InodeNumber,
        _ before: NodeState
    ) throws(TrialFailure) {
        let name = Array("user.x\(Int.random(in: 0..<3, using: &random))".utf8)
        var after = before
        if before.xattrs[name] != nil, Int.random(in: 0..<3, using: &random) == 0 {
            after.xattrs[name] = nil
            return try changeInode(ino, "remove an attribute of \(ino.rawValue)", after) {
                engine throws(FileSystemError) in
                try engine.removeExtendedAttribute(name, of: ino)
            }
        }
        let value = random.bytes(Int.random(in: 0...300, using: &random))
        after.xattrs[name] = value
        try changeInode(ino, "set an attribute of \(ino.rawValue)", after) {
            engine throws(FileSystemError) in
            try engine.setExtendedAttribute(name, to: value, mode: .set, of: ino)
        }
    }

    private func changeInode(
        _ ino: InodeNumber,
        _ text: String,
        _ after: NodeState,
        _ run: (VolumeEngine) throws(FileSystemError) -> Void
    ) throws(TrialFailure) {
        let number = model.state.withLock { $0.begin(text, [ino: after]) }
        model.note("\(self.number): \(number) \(text)")
        switch ask({ () throws(FileSystemError) in try run(engine) }) {
        case .down: return
        case .failed(let error): throw fail(text, error)
        case .done: try settle(number, ino, text, [after.size])
        }
    }
}
