package import Primitives

/// How far the heads of a volume are.
package struct CheckpointStatus: Sendable {
    /// The newest head that a keeper has; 0 if there is none.
    package internal(set) var registered: UInt64 = 0
    /// When the newest head was made.
    package internal(set) var time: Timestamp?
    /// Blocks of which that head has an older version or none.
    package internal(set) var behindBlocks = 0
    /// Why there is no newer head, if there should be.
    package internal(set) var trouble: String?
    /// Whether another machine has taken the volume over, so that no head of this one counts.
    package internal(set) var isFenced = false
    /// The last row of the journal in that head; 0 if not known yet.
    var through: Int64 = 0
    /// Whether a head is placed that no keeper has.
    var isPending = false
}
