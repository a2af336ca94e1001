import Metadata
import Primitives
import Sealing

/// Reads the files that a drill has drawn, one after the other, and counts how they are.
struct DrillFiles {
    private var volume: RestoredVolume
    private let live: (any LiveTree)?
    /// As the first head had them: a newer one may tell that they were changed.
    private var drawn: [InodeNumber: LiveFileState] = [:]
    private var equal = 0
    private var checked = 0
    private var changed = 0
    private var behind = 0
    private var different: [DrillReport.Failure] = []
    /// Of this round.
    var unreadable: [DrillReport.Failure] = []
    private(set) var bytesRead: UInt64 = 0

    init(_ volume: RestoredVolume, live: (any LiveTree)?) {
        self.volume = volume
        self.live = live
    }

    /// Files that were read.
    var read: Int { equal + checked + changed + behind + different.count }
    /// Files of which it is known how they are.
    var done: Int { read + unreadable.count }

    /// Reads on from a newer head.
    mutating func goOn(with volume: RestoredVolume) { self.volume = volume }

    /// Reads a file; `false` if it cannot be read.
    mutating func examine(_ sample: MetadataSnapshot.Sample) -> Bool {
        do throws(FileSystemError) {
            try compare(sample)
            return true
        } catch {
            unreadable.append(DrillReport.Failure(path: Self.text(sample.path), error: error))
            return false
        }
    }

    func fill(_ report: inout DrillReport) {
        report.sampled = done
        report.equal = equal
        report.checked = checked
        report.changed = changed
        report.behind = behind
        report.different = different
        report.unreadable = unreadable
        report.bytesRead = bytesRead
        report.wrongShards = volume.reader.meters.shardErrors
    }

    /// How the blocks of a file compare.
    private struct Outcome {
        var isEqual = true
        /// Whether the mounted volume could be read as far.
        var isCompared = true
    }

    private mutating func compare(
        _ sample: MetadataSnapshot.Sample
    ) throws(FileSystemError) {
        let file: Attributes
        do throws(FileSystemError) {
            file = try volume.metadata.attributes(of: sample.ino)
        } catch {
            // A newer head than the one it was drawn from.
            guard error.code == .notFound, drawn[sample.ino] != nil else { throw error }
            changed += 1
            return
        }
        let state = LiveFileState(size: file.size, modified: file.modified)
        guard drawn.updateValue(state, forKey: sample.ino) ?? state == state else {
            changed += 1
            return
        }
        let beside = live?.file(at: sample.path)
        let outcome = try read(file, beside: beside?.state == state ? beside : nil)
        let isBehind = volume.behind.contains(sample.ino)
        if live == nil {
            if isBehind { behind += 1 } else { checked += 1 }
        } else if isBehind {
            behind += 1
        } else if beside?.state != state {
            changed += 1
        } else if !outcome.isCompared {
            checked += 1
        } else if outcome.isEqual {
            equal += 1
        } else if beside?.state != state {
            // While it was read.
            changed += 1
        } else if volume.isBehindCut {
            // It may be one of those that the head does not name.
            behind += 1
        } else {
            let path = Self.text(sample.path)
            different.append(
                DrillReport.Failure(
                    path: path,
                    error: FileSystemError(
                        .corrupt,
                        "\(path) came back as something else than the mounted volume has"
                    )
                )
            )
        }
    }

    /// Reads a file, or a window of a large one, block by block.
    private mutating func read(
        _ file: Attributes,
        beside: (any LiveFile)?
    ) throws(FileSystemError) -> Outcome {
        let unit = UInt64(Geometry.blockBytes)
        let count = (file.size + unit - 1) / unit
        let most = min(RecoveryDrill.blocksMax, count)
        let first = UInt64.random(in: 0...count - most)
        var outcome = Outcome(isCompared: beside != nil)
        var bytesRead = bytesRead
        defer { self.bytesRead = bytesRead }
        try volume.forEachBlock(of: file, in: first..<first + most) { offset, bytes in
            bytesRead += UInt64(bytes.count)
            guard let beside, outcome.isCompared else { return }
            guard let other = beside.read(at: offset, count: bytes.count) else {
                outcome.isCompared = false
                return
            }
            if SHA256.digest(other) != SHA256.digest(bytes) { outcome.isEqual = false }
        }
        return outcome
    }

    private static func text(_ path: [EntryName]) -> String {
        path.map { "/" + String(decoding: $0.bytes, as: UTF8.self) }.joined()
    }
}
