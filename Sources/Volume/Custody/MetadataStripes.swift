import Auditor
import Metadata
import Network
import Primitives

/// The volume's stripes as its auditor and repairer sees them.
struct MetadataStripes: StripeSource {
    let metadata: MetadataStore
    let changes: StripeChanges

    func stripes(after: StripeID?, limit: Int) throws -> [StripeManifest] {
        try metadata.placedStripes(after: after, limit: limit).map { StripeManifest($0) }
    }

    func stripe(_ id: StripeID) throws -> StripeManifest? {
        try metadata.placedStripe(id).map { StripeManifest($0) }
    }

    func moveShard(_ stripe: StripeID, index: Int, from: NodeID, to: NodeID) throws -> Bool {
        guard try metadata.moveShard(of: stripe, index: index, from: from, to: to) else {
            return false
        }
        changes.note([stripe])
        return true
    }

    /// All stripes of one bucket of a keeper's list.
    func stripes(inBucket bucket: UInt8) throws(FileSystemError) -> [StripeManifest] {
        var last = Self.last(before: bucket)
        var found: [StripeManifest] = []
        while true {
            let page = try metadata.placedStripes(after: last, limit: Self.pageMax)
            for record in page {
                let manifest = StripeManifest(record)
                guard manifest.bucket == bucket else { return found }
                found.append(manifest)
            }
            guard page.count == Self.pageMax else { return found }
            last = page.last?.id
        }
    }

    /// Stripes read at once: some 100 KiB of rows.
    static let pageMax = 512

    /// The greatest id of the buckets before this one.
    private static func last(before bucket: UInt8) -> StripeID? {
        guard bucket > 0 else { return nil }
        let rest = [UInt8](repeating: .max, count: StripeID.byteCount - 1)
        return StripeID(bytes: [bucket - 1] + rest)
    }
}
