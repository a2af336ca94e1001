package import Primitives
package import Proofs
package import Sealing
package import Wire

/// Lets a keeper audit and repair a volume while its owner is away; again for the same volume, it
/// renews the grant.
///
/// The grant names the keeper that is asked, and its signer is the peer.
package struct Delegate: KeeperQuery {
    /// What the keeper has of the volume.
    package typealias Answer = DelegationState
    package static let operation = Operation.delegate

    package let grant: Grant
    /// Unmasks shards; opens nothing.
    package let repairKey: RepairKey
    /// The volume's.
    package let code: ErasureCode

    package init(grant: Grant, repairKey: RepairKey, code: ErasureCode) {
        self.grant = grant
        self.repairKey = repairKey
        self.code = code
    }

    package func write(to writer: inout ByteWriter) {
        grant.write(to: &writer)
        writer.raw(repairKey.bytes)
        writer.code(code)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        grant = try Grant(from: &reader)
        guard let key = RepairKey(bytes: try reader.bytes(RepairKey.byteCount)) else {
            throw .invalid(field: "repair key", reason: "wrong length")
        }
        repairKey = key
        code = try reader.code()
    }
}

/// What a keeper has of a delegated volume, for its owner to compare.
package struct DelegationState: Hashable, Message {
    /// The number of the last repair; `FetchRepairs` tells those after a number.
    ///
    /// It never falls, not even when a volume is given up and delegated again.
    package let repairs: UInt64
    package let digests: BucketDigests

    package init(repairs: UInt64, digests: BucketDigests) {
        self.repairs = repairs
        self.digests = digests
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(repairs)
        digests.write(to: &writer)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        repairs = try reader.integer()
        digests = try BucketDigests(from: &reader)
    }
}

/// Takes a volume back: the keeper forgets its repair key, stripes and repairs.
package struct Undelegate: Hashable, KeeperQuery {
    /// That it was done.
    package typealias Answer = Nothing
    package static let operation = Operation.undelegate

    package let volume: VolumeID

    package init(volume: VolumeID) { self.volume = volume }

    package func write(to writer: inout ByteWriter) { writer.id(volume) }

    package init(from reader: inout ByteReader) throws(DecodeError) { volume = try reader.id() }
}

/// Tells a keeper that the owner looks after a volume itself: once this is answered, no repair of
/// the keeper takes effect before the hold is `lasts` old.
package struct HoldVolume: Hashable, KeeperQuery {
    /// What the keeper has of the volume.
    package typealias Answer = DelegationState
    package static let operation = Operation.holdVolume
    /// How long one hold keeps the keeper away.
    package static let lasts = Duration.seconds(30)
    /// How often an owner holds: two of three may be lost.
    package static let interval = Duration.seconds(10)

    package let volume: VolumeID

    package init(volume: VolumeID) { self.volume = volume }

    package func write(to writer: inout ByteWriter) { writer.id(volume) }

    package init(from reader: inout ByteReader) throws(DecodeError) { volume = try reader.id() }
}

/// Brings a keeper's list of a volume's stripes up to date.
package struct PutStripes: Hashable, KeeperQuery {
    /// That it was done.
    package typealias Answer = Nothing
    package static let operation = Operation.putStripes
    /// It is a transaction of some thousand rows.
    package static let timeout = RemoteNetwork.putTimeout
    /// The most stripes in each of the lists.
    package static let stripesMax = 4096
    /// What `split` keeps one request under: half of what a keeper takes.
    private static let bytesMax = 512 << 10

    package let volume: VolumeID
    package let upserts: [StripeManifest]
    package let removed: [StripeID]

    package init(volume: VolumeID, upserts: [StripeManifest], removed: [StripeID] = []) {
        self.volume = volume
        self.upserts = upserts
        self.removed = removed
    }

    /// As few requests as fit a keeper's frames, to be sent in this order.
    package static func split(
        volume: VolumeID,
        upserts: [StripeManifest],
        removed: [StripeID]
    ) -> [PutStripes] {
        var parts: [PutStripes] = []
        var left = removed[...]
        while !left.isEmpty {
            let part = Array(left.prefix(stripesMax))
            parts.append(PutStripes(volume: volume, upserts: [], removed: part))
            left = left.dropFirst(stripesMax)
        }
        for part in pages(upserts, bytesMax: bytesMax, countMax: stripesMax) {
            parts.append(PutStripes(volume: volume, upserts: part))
        }
        return parts
    }

    /// Cuts a list into pieces of at most so many bytes (or one stripe) and stripes.
    fileprivate static func pages(
        _ stripes: [StripeManifest],
        bytesMax: Int,
        countMax: Int
    ) -> [[StripeManifest]] {
        var pages: [[StripeManifest]] = []
        var page: [StripeManifest] = []
        var bytes = 0
        for stripe in stripes {
            let stripeBytes = stripe.encoded.count
            if !page.isEmpty, bytes + stripeBytes > bytesMax || page.count == countMax {
                pages.append(page)
                page = []
                bytes = 0
            }
            page.append(stripe)
            bytes += stripeBytes
        }
        if !page.isEmpty { pages.append(page) }
        return pages
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(volume)
        writer.list(upserts)
        writer.integer(UInt32(removed.count))
        for id in removed { writer.id(id) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        upserts = try reader.list("stripes", limit: Self.stripesMax)
        removed = try reader.ids("removed stripes", limit: Self.stripesMax)
    }
}

/// Makes one bucket of a keeper's list what it is at the owner's, a page at a time: a page stands
/// for the range of ids behind `after` up to its last stripe, or, if it is the last, to the
/// bucket's end.
package struct ReplaceBucket: Hashable, KeeperQuery {
    /// That it was done.
    package typealias Answer = Nothing
    package static let operation = Operation.replaceBucket
    /// It is a transaction of some thousand rows.
    package static let timeout = RemoteNetwork.putTimeout
    /// The most stripes of one page.
    package static let stripesMax = PutStripes.stripesMax
    /// What `pages` keeps one request under: half of what a keeper takes.
    private static let bytesMax = 512 << 10

    package let volume: VolumeID
    package let bucket: UInt8
    /// The last stripe of the page before; `nil` in the first.
    package let after: StripeID?
    package let isLast: Bool
    /// Of this bucket, ascending by id; none only in a last page.
    package let stripes: [StripeManifest]

    package init(
        volume: VolumeID,
        bucket: UInt8,
        after: StripeID?,
        isLast: Bool,
        stripes: [StripeManifest]
    ) {
        self.volume = volume
        self.bucket = bucket
        self.after = after
        self.isLast = isLast
        self.stripes = stripes
    }

    /// The pages that make a bucket exactly `stripes`; at least one.
    package static func pages(
        volume: VolumeID,
        bucket: UInt8,
        stripes: [StripeManifest]
    ) -> [ReplaceBucket] {
        let pages = PutStripes.pages(
            stripes.sorted { $0.id < $1.id },
            bytesMax: bytesMax,
            countMax: stripesMax
        )
        var requests: [ReplaceBucket] = []
        for page in pages {
            requests.append(
                ReplaceBucket(
                    volume: volume,
                    bucket: bucket,
                    after: requests.last?.stripes.last?.id,
                    isLast: requests.count == pages.count - 1,
                    stripes: page
                )
            )
        }
        guard requests.isEmpty else { return requests }
        return [
            ReplaceBucket(volume: volume, bucket: bucket, after: nil, isLast: true, stripes: [])
        ]
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(volume)
        writer.integer(bucket)
        writer.boolean(after != nil)
        if let after { writer.id(after) }
        writer.boolean(isLast)
        writer.list(stripes)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        bucket = try reader.integer()
        after = try reader.boolean("after") ? try reader.id() : nil
        isLast = try reader.boolean("last")
        stripes = try reader.list("stripes", limit: Self.stripesMax)
        guard isLast || !stripes.isEmpty else {
            throw .invalid(field: "stripes", reason: "none in a page that is not the last")
        }
        guard after.map({ $0.bytes[0] == bucket }) ?? true else {
            throw .invalid(field: "after", reason: "not of the bucket")
        }
        var last = after
        for stripe in stripes {
            guard stripe.bucket == bucket, last.map({ $0 < stripe.id }) ?? true else {
                throw .invalid(field: "stripes", reason: "not of the bucket, or out of order")
            }
            last = stripe.id
        }
    }
}
