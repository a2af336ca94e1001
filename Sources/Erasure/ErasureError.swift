/// Why shards cannot be rebuilt.
package enum ErasureError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooFewShards(needed: Int, present: Int)
    /// An index outside the code, or one given twice.
    case badIndex(Int)
    /// Shards, or the buffers for them, differ in length or number.
    case unequalBuffers

    package var description: String {
        switch self {
        case .tooFewShards(let needed, let present):
            "\(present) shards are at hand and \(needed) are needed"
        case .badIndex(let index):
            "shard index \(index) is not of this code, or is there twice"
        case .unequalBuffers:
            "shards of one stripe and the buffers for them must be of one length"
        }
    }
}
