/// What a volume keeps at providers, and why.
///
/// Bytes are sealed ones, before the code adds to them.
package struct GarbageReport: Codable, Hashable, Sendable {
    /// Of blocks that files, or the newest checkpoint, need.
    package var liveBytes: UInt64
    /// Of stripes that hold some of those.
    package var neededBytes: UInt64
    /// Of stripes that only snapshots need.
    package var snapshotBytes: UInt64
    package var snapshotStripes: UInt64
    /// Of stripes that nothing needs once a newer head is with a keeper.
    package var waitingBytes: UInt64
    package var waitingStripes: UInt64
    /// Shards that nothing needs, and that providers have not deleted yet.
    package var deadShards: UInt64
    /// Those of them that providers do not delete yet because of a lock.
    package var retainedShards: UInt64
    /// When the last of those can be deleted: RFC 3339.
    package var retainedUntil: String?
    /// Stripes that are written anew, or would be, since too little of them is alive.
    package var sparseStripes: UInt64
    package var sparseBytes: UInt64

    package init(
        liveBytes: UInt64,
        neededBytes: UInt64,
        snapshotBytes: UInt64,
        snapshotStripes: UInt64,
        waitingBytes: UInt64,
        waitingStripes: UInt64,
        deadShards: UInt64,
        retainedShards: UInt64 = 0,
        retainedUntil: String? = nil,
        sparseStripes: UInt64,
        sparseBytes: UInt64
    ) {
        self.liveBytes = liveBytes
        self.neededBytes = neededBytes
        self.snapshotBytes = snapshotBytes
        self.snapshotStripes = snapshotStripes
        self.waitingBytes = waitingBytes
        self.waitingStripes = waitingStripes
        self.deadShards = deadShards
        self.retainedShards = retainedShards
        self.retainedUntil = retainedUntil
        self.sparseStripes = sparseStripes
        self.sparseBytes = sparseBytes
    }
}
