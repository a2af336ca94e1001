import Cache
import Metadata
import Primitives

/// Makes good what a check found of cached bytes and of shards: in the rows at once, in the cache
/// by changes that are made when the rows are safe.
struct ContentRepair {
    private let configuration: VolumeConfiguration
    private let repair: MetadataRepair
    /// What is to be changed in the cache directory.
    private(set) var changes: [CacheChange] = []
    private var known: Set<CacheChange> = []

    init(_ configuration: VolumeConfiguration, _ repair: MetadataRepair) {
        self.configuration = configuration
        self.repair = repair
    }

    /// Makes good what concerns keys and shards.
    func makeGoodAtProviders(_ faults: VolumeFaults) throws(FileSystemError) {
        for fault in faults.faults {
            try makeGoodAtProviders(fault, keysOpen: faults.hasOpenedKey)
        }
    }

    /// Makes good what concerns the cache, as a look at the rows as they are now has found it.
    mutating func makeGoodInCache(_ faults: VolumeFaults) throws(FileSystemError) {
        for fault in faults.faults { try makeGoodInCache(fault) }
    }

    /// Takes out cached bytes that are not the placed ones, as a deep check has found them.
    mutating func takeOutWrongBytes(_ faults: VolumeFaults) throws(FileSystemError) {
        for case .wrongBytes(let key, let segment) in faults.faults {
            guard let block = try repair.check.block(key), block.dirtySince == nil,
                block.location?.isLost == false
            else { continue }
            try repair.forgetCached(1 << UInt16(segment), of: key)
            let start = key.index.offset + UInt64(segment * Geometry.segmentBytes)
            change(.punch(key.ino, start..<start + UInt64(Geometry.segmentBytes)))
        }
    }

    private func makeGoodAtProviders(
        _ fault: VolumeFaults.Fault,
        keysOpen: Bool
    ) throws(FileSystemError) {
        switch fault {
        case .wrongKey(let ino):
            // If it opened none, it is the volume's key that is wrong, and nothing is lost.
            if keysOpen { try repair.loseKey(of: ino) }
        case .unreadableBlock(let key):
            guard keysOpen, try repair.check.block(key)?.location?.isLost == false else { return }
            try repair.lose(block: key, because: "its shards are right, and it cannot be opened")
        case .lostStripe(let id): try repair.lose(stripe: id)
        case .doubt(let index, let stripe): try repair.noteDoubt(index, of: stripe)
        default: break
        }
    }

    private mutating func makeGoodInCache(_ fault: VolumeFaults.Fault) throws(FileSystemError) {
        switch fault {
        case .fileOfNobody(let ino):
            guard try repair.check.file(ino)?.isRegular != true else { return }
            change(repair.report.losses > 0 ? .keep(ino) : .remove(ino))
        case .missingFile(let ino, let onlySynced):
            try loseChanges(of: ino, onlySynced: onlySynced)
        case .shortFile(let key):
            guard try repair.check.block(key)?.dirtySince != nil else { return }
            try repair.lose(
                block: key,
                isChanged: true,
                because: "its change was in a cache file that ends before it"
            )
        case .unreadableFile(let ino):
            // With changes in it nothing is done: who looks after the disk may still read them.
            if try repair.forgetCached(of: ino) { change(.remove(ino)) }
        case .hole(let key, let segment):
            try repair.forgetCached(1 << UInt16(segment), of: key)
        case .strayBytes(let ino, let range):
            if try isSettled() { change(.punch(ino, range)) }
        case .wrongBytes, .wrongKey, .unreadableBlock, .lostStripe, .doubt: break
        }
    }

    /// After an unclean stop stray bytes are what the next mount takes out.
    private func isSettled() throws(FileSystemError) -> Bool {
        try repair.check.wasClosed()
    }

    private func loseChanges(
        of ino: InodeNumber,
        onlySynced: Bool
    ) throws(FileSystemError) {
        var next: UInt64 = 0
        while let start = try repair.check.nextBlock(of: ino, from: next) {
            next = start + CacheFileCheck.windowBlocks
            for block in try repair.check.blocks(of: ino, in: start..<next)
            where block.dirtySince != nil
                && (!onlySynced || block.resident == SegmentMask.all.rawValue)
            {
                try repair.lose(
                    block: BlockKey(ino, block.index),
                    isChanged: true,
                    because: "its change was in a cache file that is gone"
                )
            }
        }
    }

    private mutating func change(_ change: CacheChange) {
        if known.insert(change).inserted { changes.append(change) }
    }

    /// What a trial would leave: its changes of the cache are not made, and what they are for is
    /// still found.
    func leftAfterChanges(_ left: CheckReport) -> CheckReport {
        var kinds: Set<CheckFinding.Kind> = [
            .cacheFileOfNobody, .cacheBytesInHole, .cacheBytesPastEnd,
        ]
        for case .remove in changes { kinds.insert(.unreadableCacheFile) }
        return left.without(kinds)
    }
}
