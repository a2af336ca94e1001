import Network
import Primitives
import Proofs
import Sealing

/// The messages of orders, audits, custody and delegation.
extension MessageCase {
    static func orders() throws -> [MessageCase] {
        let state = try Samples.state()
        return [
            MessageCase(
                "open-order",
                "OpenOrder: volume 05.., owner's seed 07.., provider's 03.., granted to 01..",
                OpenOrder(
                    terms: try Samples.terms(),
                    proposal: try Samples.proposal(sequence: 0),
                    grant: try Samples.grant()
                )
            ),
            MessageCase(
                "order-head",
                "OrderHead: volume 05.. of the owner with seed 07..",
                OrderHead(volume: try Samples.volumeID(), owner: try Samples.owner())
            ),
            MessageCase(
                "order-heads",
                "OrderHeads: one order at sequence 1",
                OrderHeads(orders: [
                    OrderHeads.Head(terms: try Samples.terms(), state: state)
                ])
            ),
            MessageCase(
                "amend-order",
                "AmendOrder: shard 01.. appended, 02.. a tombstone, no grant",
                AmendOrder(
                    order: state.order,
                    baseSequence: 0,
                    changes: try Samples.changes(),
                    proposal: state.proposal
                )
            ),
            MessageCase(
                "compact-order",
                "CompactOrder: 1024 tombstones fewer than at sequence 0, granted to 01..",
                CompactOrder(
                    order: state.order,
                    baseSequence: 0,
                    drops: 1024,
                    proposal: state.proposal,
                    grant: try Samples.grant()
                )
            ),
            MessageCase(
                "list-loose",
                "ListLoose: from behind shard 01..",
                ListLoose(after: try Samples.shard(1))
            ),
            MessageCase(
                "loose-shards",
                "LooseShards: one of 2 KiB, more from behind it on",
                LooseShards(
                    shards: [
                        OrderEntry(
                            shard: try Samples.shard(2),
                            bytes: 2048,
                            root: try Samples.digest(2)
                        )
                    ],
                    next: try Samples.shard(2)
                )
            ),
            MessageCase(
                "fetch-order",
                "FetchOrder: since sequence 3, from row 8192",
                FetchOrder(order: state.order, sinceSequence: 3, from: 8192)
            ),
            MessageCase(
                "order-delta",
                "OrderDelta: two changes, more from 8192 on, one grant",
                OrderDelta(
                    terms: try Samples.terms(),
                    state: state,
                    changes: try Samples.changes(),
                    next: 8192,
                    grants: [try Samples.grant()]
                )
            ),
            MessageCase("order-state", "OrderState: the answer to openOrder and amendOrder", state),
        ]
    }

    static func audits() throws -> [MessageCase] {
        [
            MessageCase(
                "challenge-provider",
                "ChallengeProvider: 32 leaves of epoch 472224",
                ChallengeProvider(challenge: try Samples.challenge())
            ),
            MessageCase(
                "challenge-answer-proof",
                "ChallengeAnswer: a proof with a body of 40 bytes",
                ChallengeAnswer.proof(try Samples.proof())
            ),
            MessageCase(
                "challenge-answer-stale",
                "ChallengeAnswer: stale, with the newer state and a grant",
                ChallengeAnswer.stale(try Samples.state(), try Samples.grant())
            ),
            MessageCase(
                "challenge-answer-unknown",
                "ChallengeAnswer: no such order",
                ChallengeAnswer.unknownOrder
            ),
            MessageCase(
                "present-grant",
                "PresentGrant: volume 05.. to the keeper with seed 01..",
                PresentGrant(grant: try Samples.grant())
            ),
            MessageCase(
                "deliver-receipt",
                "DeliverReceipt: the first of a chain, ok",
                DeliverReceipt(receipt: try Samples.receipts()[0])
            ),
            MessageCase(
                "list-receipts",
                "ListReceipts: the newest 24 of one order",
                ListReceipts(order: try Samples.state().order, limit: 24)
            ),
            MessageCase(
                "list-receipts-all",
                "ListReceipts: the newest 1024 of all orders",
                ListReceipts()
            ),
            MessageCase(
                "receipt-list",
                "ReceiptList: unreachable, and ok before it",
                ReceiptList(receipts: try Samples.receipts().reversed())
            ),
            MessageCase("set-leaving", "SetLeaving: yes", SetLeaving(isLeaving: true)),
        ]
    }

    static func custody() throws -> [MessageCase] {
        [
            MessageCase(
                "fetch-beacons",
                "FetchBeacons: 24 from epoch 472222 on",
                FetchBeacons(from: Epoch(472_222), count: 24)
            ),
            MessageCase(
                "fetch-beacons-newest",
                "FetchBeacons: the newest",
                FetchBeacons(newest: 1)
            ),
            MessageCase(
                "beacon-list",
                "BeaconList: epochs 472222 and 472224 of the keeper with seed 01..",
                BeaconList(blocks: try Samples.beacons())
            ),
            MessageCase(
                "report-custody",
                "ReportCustody: an order at sequence 1 and its two receipts, no grant",
                ReportCustody(
                    terms: try Samples.terms(),
                    state: try Samples.state(),
                    grant: nil,
                    receipts: try Samples.receipts()
                )
            ),
            MessageCase(
                "list-scores",
                "ListScores: behind the provider with seed 03..",
                ListScores(after: try Samples.key(3).publicKey.nodeID)
            ),
            MessageCase(
                "score-list",
                "ScoreList: 0.75 for the provider with seed 03.., and there are more",
                ScoreList(scores: [try Samples.score()], hasMore: true)
            ),
        ]
    }

    static func delegation() throws -> [MessageCase] {
        let manifests = [try Samples.manifest(8), try Samples.manifest(0x40)]
        return [
            MessageCase(
                "delegate",
                "Delegate: volume 05.. to the keeper with seed 01.., repair key 0a.., 4+2",
                Delegate(
                    grant: try Samples.grant(),
                    repairKey: RepairKey(trusted: Array(repeating: 10, count: 32)),
                    code: try Samples.code()
                )
            ),
            MessageCase(
                "delegation-state",
                "DelegationState: 7 repairs, stripes 08.. and 40..",
                DelegationState(repairs: 7, digests: BucketDigests(of: manifests))
            ),
            MessageCase(
                "undelegate",
                "Undelegate: volume 05..",
                Undelegate(volume: try Samples.volumeID())
            ),
            MessageCase(
                "hold-volume",
                "HoldVolume: volume 05..",
                HoldVolume(volume: try Samples.volumeID())
            ),
            MessageCase(
                "put-stripes",
                "PutStripes: volume 05.., 08.. and 40.. of 2+1, without 09..",
                PutStripes(
                    volume: try Samples.volumeID(),
                    upserts: manifests,
                    removed: [try Samples.stripe(9)]
                )
            ),
            MessageCase(
                "replace-bucket",
                "ReplaceBucket: bucket 08.. of volume 05.., behind 0800.., the last page",
                ReplaceBucket(
                    volume: try Samples.volumeID(),
                    bucket: 8,
                    after: StripeID(bytes: [8] + Array(repeating: 0, count: 15)),
                    isLast: true,
                    stripes: [try Samples.manifest(8)]
                )
            ),
            MessageCase(
                "fetch-repairs",
                "FetchRepairs: volume 05.., after 6",
                FetchRepairs(volume: try Samples.volumeID(), after: 6)
            ),
            MessageCase(
                "repair-list",
                "RepairList: repair 7",
                RepairList(repairs: [try Samples.repair(7)])
            ),
        ]
    }
}
