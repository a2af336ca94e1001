package import Primitives

/// The moment that a head is of.
package struct CheckpointCut: Sendable {
    /// The number of the head.
    package let version: UInt64
    /// The last row of the journal before that moment.
    package let last: Int64
    /// Blocks whose newest bytes were here only at that moment, the oldest first.
    package let behind: [BlockKey]
}

/// What a head adds to what is placed, and what it leaves behind.
package struct NewCheckpoint: Sendable {
    package let version: UInt64
    /// Its stripes, whose shards are all acknowledged.
    package let stripes: [StripeID]
    /// All parts of new pieces, the index among them.
    package let parts: [CheckpointPart]
    /// Parts of pieces that those take the place of.
    package let replaced: [CheckpointPart]
    /// The head as it is sent to keepers.
    package let head: [UInt8]
    /// How many blocks it has an older version of, or none.
    package let behind: Int
    /// The head is kept, if this is given.
    package let snapshot: SnapshotRow?

    package init(
        version: UInt64,
        stripes: [StripeID],
        parts: [CheckpointPart],
        replaced: [CheckpointPart],
        head: [UInt8],
        behind: Int,
        snapshot: SnapshotRow?
    ) {
        self.version = version
        self.stripes = stripes
        self.parts = parts
        self.replaced = replaced
        self.head = head
        self.behind = behind
        self.snapshot = snapshot
    }
}
