import Disk
import Primitives
import Volume

/// What a machine's life ended with.
package enum Stop: String, CaseIterable, Sendable {
    /// SIGKILL: what was written is in the page cache.
    case kill
    /// The host lost power: what was not synced may be gone.
    case powerCut
    /// An orderly shutdown.
    case close
}

/// Decides whether what a volume shows after a crash is what it may show.
struct Judge {
    let model: Model
    let engine: VolumeEngine
    let life: Life
    /// The worst that happened since the last judgement.
    let stop: Stop

    /// How long an operation may be back for SIGKILL to lose it: the docs say 5 ms "as a rule",
    /// and the threads of a simulation may be kept waiting longer.
    private static let killLossMax: Duration = .seconds(1)

    /// Compares all and makes the model go on from there.
    ///
    /// - Returns: bytes compared; `nil` if the machine went down meanwhile.
    func judge() throws(TrialFailure) -> Int? {
        let found: FoundTree
        do throws(FileSystemError) {
            found = try FoundTree(engine)
        } catch {
            if life.isDown { return nil }
            throw TrialFailure("the tree cannot be read: \(error.code): \(error.message)")
        }
        if life.isDown { return nil }
        var state = model.state.withLock { $0 }
        state.bindPlaceholders(in: found)
        let cut = try state.findCut(found, from: floor(state))
        var contents: [InodeNumber: [UInt8]] = [:]
        var bytes = 0
        for ino in found.files {
            guard let node = found.nodes[ino] else { continue }
            guard let content = try read(ino, Int(node.size)) else { return nil }
            try check(content, of: ino, state, cut)
            bytes += content.count
            contents[ino] = content
        }
        model.state.withLock {
            $0.restart(from: found, contents, isLasting: stop != .kill)
        }
        return bytes
    }

    private func floor(_ state: Model.State) -> Int {
        switch stop {
        case .powerCut: return state.floor
        case .close: return state.tick
        case .kill:
            let ended = state.operations.values.filter { $0.ended != nil }
            guard let last = ended.map(\.endedAt).max() else { return state.floor }
            let safe = ended.filter { $0.endedAt <= last - Self.killLossMax }
            return max(state.floor, safe.compactMap(\.ended).max() ?? 0)
        }
    }

    /// All of a file; `nil` if the machine went down.
    private func read(_ ino: InodeNumber, _ size: Int) throws(TrialFailure) -> [UInt8]? {
        do throws(FileSystemError) {
            let bytes = try engine.read(ino, at: 0, count: size + 1)
            if life.isDown { return nil }
            guard bytes.count == size else {
                throw FileSystemError(.corrupt, "\(bytes.count) of \(size) bytes")
            }
            return bytes
        } catch {
            if life.isDown { return nil }
            throw TrialFailure(
                "inode \(ino.rawValue) cannot be read after recovery: \(error.code):"
                    + " \(error.message)"
            )
        }
    }

    private func check(
        _ content: [UInt8],
        of ino: InodeNumber,
        _ state: Model.State,
        _ cut: Int
    ) throws(TrialFailure) {
        guard let history = state.nodes[ino]?.content else { return }
        let wrong = history.firstWrong(in: content, at: 0) { operation in
            switch stop {
            // A power cut may take back any write that was not synced, whatever else it kept.
            case .powerCut: false
            case .kill, .close: state.hasEnded(operation, by: cut)
            }
        }
        guard let wrong else { return }
        throw TrialFailure(
            "after \(stop): byte \(wrong) of inode \(ino.rawValue) (\(content.count) bytes) is"
                + " \(content[wrong]); cut at \(cut); \(history.explain(wrong))"
        )
    }
}
