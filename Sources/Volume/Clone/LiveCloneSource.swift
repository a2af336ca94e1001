import Disk
import Metadata
import Primitives

/// The live tree, of which each file is held still for the moment in which it is cloned.
///
/// What was written to a file and not placed yet is placed first: a clone is made of places.
struct LiveCloneSource: CloneSource {
    /// How often a file is looked at again that was written to meanwhile.
    private static let attemptsMax = 8
    /// How long what was written to it may take to be placed, each time.
    private static let patienceSeconds = 60.0
    /// The least time between two looks: twice what a file's time of change takes to be firm.
    private static let pause: Duration = .milliseconds(40)

    let engine: VolumeEngine
    /// Called while bytes are placed, with how many are still to be.
    let onPlacing: (UInt64) -> Void

    func clonable(_ ino: InodeNumber) throws(FileSystemError) -> ClonedInode {
        try engine.metadata.clonable(ino)
    }

    func readDirectory(
        _ directory: InodeNumber,
        after cookie: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [DirectoryEntry] {
        try engine.readDirectory(directory, after: cookie, limit: limit)
    }

    func holdStill(
        _ ino: InodeNumber,
        _ body: (ClonableContent) throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        for attempt in 0..<Self.attemptsMax {
            if attempt > 0 {
                try engine.uploader.drain(seconds: Self.patienceSeconds, report: onPlacing)
                if attempt > 1 { Clock.sleep(for: Self.pause) }
            }
            let content = try engine.loaded(ino)
            let isDone = try content.state.write { state throws(FileSystemError) in
                guard !state.isReaped else { throw VolumeEngine.gone(ino) }
                guard try isStill(ino, &state) else { return false }
                try body(try clonable(ino, &state))
                return true
            }
            if isDone { return }
        }
        throw FileSystemError(
            .busy,
            "it is written to all the time; clone it when its writer rests, or from a snapshot"
        )
    }

    /// Whether all bytes of the file are placed; the caller holds the content's lock for writing.
    private func isStill(
        _ ino: InodeNumber,
        _ state: inout FileContentState
    ) throws(FileSystemError) -> Bool {
        if let file = state.passage?.writing == nil ? nil : state.passage?.file {
            // The kernel writes to it without asking: nothing else tells whether it did just now.
            let before = try onDisk { () throws(DiskError) in try file.stamp() }
            guard before.isFirm() else { return false }
            try engine.passthrough.harvest(ino, &state)
            let after = try onDisk { () throws(DiskError) in try file.stamp() }
            guard !after.differs(from: before) else { return false }
        }
        return state.blocks.values.allSatisfy { $0.dirtySince == nil }
    }

    private func clonable(
        _ ino: InodeNumber,
        _ state: inout FileContentState
    ) throws(FileSystemError) -> ClonableContent {
        let inode = try engine.metadata.clonable(ino)
        let size = inode.attributes.size
        let blocks = state.blocks.sorted { $0.key < $1.key }.compactMap { index, block in
            block.location.flatMap { ClonedBlock(BlockIndex(index), $0, ofSize: size) }
        }
        let key =
            blocks.isEmpty
            ? nil
            : try state.openKey(
                of: ino,
                in: engine.metadata,
                under: engine.configuration.key
            )
        return ClonableContent(inode: inode, key: key) { from throws(FileSystemError) in
            let start = blocks.partitionPoint { $0.index >= from }
            return Array(blocks[start...].prefix(MetadataStore.clonedBlocksMax))
        }
    }
}

extension Array {
    /// The first position from which on `isPast` holds, of elements ordered by it.
    fileprivate func partitionPoint(_ isPast: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isPast(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
