import Metadata
import Transport

// What a reading of a payload range knows of itself while it goes on.

extension StripeReader {
    /// The part of a payload range that lies in one data shard.
    struct Piece: Sendable {
        let shard: Int
        /// Within the shard.
        let range: Range<Int>
    }

    /// The same range of one shard, asked for.
    struct Column: Sendable {
        let record: ShardRecord
        let parts: [ShardPart]

        var isDone: Bool { parts.allSatisfy { $0.ask.reply.outcome != nil } }

        /// Why it cannot be had, once that is known.
        var failure: NetworkError? {
            for part in parts {
                if case .failure(let error)? = part.ask.reply.outcome { return error }
            }
            return nil
        }
    }

    /// A piece that was asked for.
    struct PieceReading: Sendable {
        let piece: Piece
        /// From the shard that has it; `nil` if that one is not to be waited for.
        var direct: Column?
        /// From others, in the order of asking.
        var others: [Column] = []
        /// Shards that may still be asked, likeliest last; `nil` before the first is needed.
        var candidates: [Int]?
        /// Shards that cannot be had.
        var failed: Set<Int> = []

        var hasCandidates: Bool { candidates.map { !$0.isEmpty } ?? true }
    }

    /// A range of a payload that was asked for and is yet to be received.
    struct Reading: Sendable {
        let stripe: StripeRecord
        let range: Range<Int>
        let distrusted: Set<Int>
        var pieces: [PieceReading] = []
        /// To be let go of.
        var asks: [ShardAsk] = []
        /// Shards whose providers rest.
        let restingCount: Int
        let isKept: Bool
    }
}
