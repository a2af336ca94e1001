import Primitives
import SQLite
import Wire

/// Compares each stripe with the blocks that lie in it: where they are, and how much of the stripe
/// is alive.
///
/// One stripe at a time, with its blocks in memory; SQL cannot add up the segments' lengths.
struct StripeLayoutCheck {
    private let database: Database

    /// The longest sealed segment: what does not compress is stored, with a tag.
    ///
    /// Generous, since compression may lengthen: only a length that no segment can have matters.
    static let sealedSegmentMax = UInt32(2 * Geometry.segmentBytes)
    /// Stripes between two reports of progress.
    private static let progressStride: UInt64 = 1024

    private struct Stripe {
        let id: StripeID
        let isPlaced: Bool
        /// Whether only older heads refer to it.
        let isReleased: Bool
        let isLost: Bool
        let payloadBytes: Int64
        let liveBlocks, liveBytes: Int64
        var subject: String { "stripe \(id)" }
    }

    /// A block's place in a payload.
    private struct Place {
        let key: BlockKey
        let start, end: UInt64

        /// Whether one is a clone's of the other: the same block of two files, at the same place.
        func isShared(with other: Place) -> Bool {
            let noFile = InodeNumber(0)
            return key.index == other.key.index && key.ino != noFile && other.key.ino != noFile
                && start == other.start && end == other.end
        }
    }

    init(_ database: Database) { self.database = database }

    func run(
        into report: inout CheckReport,
        progress: (CheckProgress) -> Void
    ) throws(SQLiteError) {
        let stripes = try database.prepare(
            "SELECT id, state, payload_bytes, live_blocks, live_bytes, died FROM stripe ORDER BY id"
        )
        let blocks = try database.prepare(
            """
            SELECT ino, idx, offset, segments FROM block WHERE stripe = ?1 UNION ALL \
            SELECT 0, part, offset, segments FROM checkpoint WHERE stripe = ?1
            """
        )
        var done: UInt64 = 0
        while try stripes.step() {
            done += 1
            if done % Self.progressStride == 0 {
                progress(CheckProgress(.stripes, done: done, total: report.stripes))
            }
            // A row that is no stripe's was told of before.
            guard let id = StripeID(bytes: stripes.blob(0)) else { continue }
            let stripe = Stripe(
                id: id,
                isPlaced: stripes.integer(1) == StripeState.placed.rawValue,
                isReleased: !stripes.isNull(5),
                isLost: stripes.integer(1) == StripeState.lost.rawValue,
                payloadBytes: stripes.integer(2),
                liveBlocks: stripes.integer(3),
                liveBytes: stripes.integer(4)
            )
            try check(stripe, blocks, &report)
        }
    }

    private func check(
        _ stripe: Stripe,
        _ blocks: Statement,
        _ report: inout CheckReport
    ) throws(SQLiteError) {
        var places: [Place] = []
        var count: Int64 = 0
        var bytes: UInt64 = 0
        try blocks.bind(1, stripe.id.bytes)
        defer { blocks.reset() }
        while try blocks.step() {
            count += 1
            guard let place = place(blocks, in: stripe, &report) else { continue }
            bytes += place.end - place.start
            places.append(place)
        }
        if count != stripe.liveBlocks || Int64(clamping: bytes) != stripe.liveBytes {
            report.add(
                CheckFinding(
                    .wrongStripeCount,
                    stripe.subject,
                    "it counts \(stripe.liveBlocks) blocks of \(stripe.liveBytes) bytes, and holds"
                        + " \(count) of \(bytes)"
                )
            )
        } else if (stripe.isPlaced && !stripe.isReleased) || stripe.isLost, count == 0 {
            report.add(
                CheckFinding(.wrongStripeCount, stripe.subject, "it is placed, and holds nothing")
            )
        }
        if !stripe.isLost { checkOverlaps(places, of: stripe, &report) }
    }

    /// Where a block's sealed bytes lie; `nil` if its row tells nothing that can be counted.
    private func place(
        _ row: Statement,
        in stripe: Stripe,
        _ report: inout CheckReport
    ) -> Place? {
        guard let ino = UInt64(exactly: row.integer(0)),
            let index = UInt64(exactly: row.integer(1)),
            let offset = UInt32(exactly: row.integer(2))
        else { return nil }
        let key = BlockKey(InodeNumber(ino), BlockIndex(index))
        var reader = ByteReader(row.blob(3))
        var sealed: UInt64 = 0
        while let length: UInt32 = try? reader.integer() {
            if length > Self.sealedSegmentMax {
                report.add(
                    CheckFinding(.badBlock, key.subject, "a sealed segment of \(length) bytes")
                )
            }
            sealed += UInt64(length)
        }
        let end = UInt64(offset) + sealed
        if sealed == 0 {
            report.add(CheckFinding(.badBlock, key.subject, "it is placed, and takes no room"))
        } else if end > UInt64(clamping: stripe.payloadBytes), !stripe.isLost {
            report.add(
                CheckFinding(
                    .blockOutsideStripe,
                    key.subject,
                    "it ends at byte \(end) of \(stripe.subject), of \(stripe.payloadBytes)"
                )
            )
        }
        return Place(key: key, start: UInt64(offset), end: end)
    }

    /// No two blocks share bytes, but for clones, which share all of them.
    private func checkOverlaps(
        _ places: [Place],
        of stripe: Stripe,
        _ report: inout CheckReport
    ) {
        var last: Place?
        for place in places.sorted(by: { ($0.start, $0.end) < ($1.start, $1.end) }) {
            if let last, place.start < last.end, !place.isShared(with: last) {
                report.add(
                    CheckFinding(
                        .overlappingBlocks,
                        place.key.subject,
                        "it shares bytes of \(stripe.subject) with \(last.key.subject)"
                    )
                )
            }
            if place.end > last?.end ?? 0 { last = place }
        }
    }
}

extension BlockKey {
    /// The block as findings name it.
    package var subject: String { "block \(index.rawValue) of inode \(ino.rawValue)" }
}
