import Lease
import Network
import Primitives
import Sealing
import Testing

/// Heads and leases, always the same.
extension Samples {
    static func head(
        _ version: UInt64 = 1,
        term: UInt64 = 0,
        after previous: VolumeHead? = nil,
        body: [UInt8] = Array(0..<40),
        volume: UInt8 = 5,
        owner: UInt8 = 7
    ) throws -> VolumeHead {
        try VolumeHead(
            volume: try volumeID(volume),
            version: version,
            time: time,
            term: term,
            previous: previous?.digest ?? .noHead,
            body: body,
            signedBy: try key(owner)
        )
    }

    static func holder(_ number: UInt8) throws -> LeaseHolder {
        try #require(LeaseHolder(bytes: Array(repeating: number, count: LeaseHolder.byteCount)))
    }
}

extension MessageCase {
    static func heads() throws -> [MessageCase] {
        let first = try Samples.head()
        let second = try Samples.head(2, term: 3, after: first)
        return [
            MessageCase(
                "volume-head",
                "VolumeHead, which is PutHead too: head 2 of volume 05.., term 3, of seed 07..",
                PutHead(head: second)
            ),
            MessageCase(
                "get-head",
                "GetHead: volume 05..",
                GetHead(volume: try Samples.volumeID())
            ),
            MessageCase(
                "head-list",
                "HeadList: head 1 of volume 05.., newest term 4",
                HeadList(head: first, term: 4)
            ),
            MessageCase(
                "head-list-none",
                "HeadList: no head, no term",
                HeadList(head: nil, term: 0)
            ),
        ]
    }

    static func retention() throws -> [MessageCase] {
        let head = try Samples.head()
        return [
            MessageCase(
                "retain-shards",
                "RetainShards: 01.. and 02.. of the owner with seed 07.. until 2030-01-01",
                RetainShards(
                    owner: try Samples.owner(),
                    until: 1_893_456_000,
                    shards: [try Samples.shard(1), try Samples.shard(2)]
                )
            ),
            MessageCase(
                "retained-shards",
                "RetainedShards: one until 2030-01-01, one not",
                RetainedShards(times: [1_893_456_000, 0])
            ),
            MessageCase(
                "retain-head",
                "RetainHead: head 1 of volume 05.. until 2030-01-01",
                RetainHead(head: head, until: 1_893_456_000)
            ),
            MessageCase(
                "retained-until",
                "RetainedUntil: 2030-01-01",
                RetainedUntil(until: 1_893_456_000)
            ),
            MessageCase(
                "list-retained",
                "ListRetained: volume 05..",
                ListRetained(volume: try Samples.volumeID())
            ),
            MessageCase(
                "retained-heads",
                "RetainedHeads: head 1 of volume 05.., until 2030-01-01",
                RetainedHeads(heads: [
                    RetainedHead(
                        digest: head.digest,
                        version: head.version,
                        time: head.time,
                        received: Samples.time,
                        until: 1_893_456_000
                    )
                ])
            ),
            MessageCase(
                "fetch-retained",
                "FetchRetained: head 1 of volume 05..",
                FetchRetained(volume: head.volume, digest: head.digest)
            ),
            MessageCase(
                "retained-head-content",
                "RetainedHeadContent: head 1 of volume 05.. and its registration",
                RetainedHeadContent(head: head, registration: try Samples.volume(5))
            ),
        ]
    }

    static func leases() throws -> [MessageCase] {
        [
            MessageCase(
                "hold-lease",
                "HoldLease: volume 05.., holder 0b.., \"büro\", term 4",
                HoldLease(
                    volume: try Samples.volumeID(),
                    request: LeaseRequest(holder: try Samples.holder(11), label: "büro", term: 4)
                )
            ),
            MessageCase(
                "hold-lease-takeover",
                "HoldLease: volume 05.., holder 0b.. takes over, also from its predecessor 0c..",
                HoldLease(
                    volume: try Samples.volumeID(),
                    request: LeaseRequest(
                        holder: try Samples.holder(11),
                        label: "",
                        term: 5,
                        isTakeover: true,
                        predecessor: try Samples.holder(12)
                    )
                )
            ),
            MessageCase(
                "lease-state",
                "LeaseState: term 4 of 0b.., \"büro\", held for another 30 s, yours",
                LeaseState(
                    term: 4,
                    holder: try Samples.holder(11),
                    label: "büro",
                    standing: .held,
                    secondsLeft: 30,
                    isYours: true
                )
            ),
            MessageCase(
                "release-lease",
                "ReleaseLease: volume 05.., holder 0b.., term 4",
                ReleaseLease(
                    volume: try Samples.volumeID(),
                    holder: try Samples.holder(11),
                    term: 4
                )
            ),
        ]
    }
}
