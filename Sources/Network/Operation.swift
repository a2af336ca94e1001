/// What a request asks for: the operation byte of its frame.
///
/// 0x01... any node, 0x10... providers, 0x20... keepers. 0 is never used, 0x80 marks replies.
package enum Operation: UInt8, Sendable, CaseIterable {
    /// Who is there: empty → `NodeDescription`.
    case describe = 0x01
    /// `PutShard` and the shard's bytes → empty.
    case putShard = 0x10
    /// `GetShard` → the bytes asked for, nothing else.
    case getShard = 0x11
    /// `DeleteShards` → empty.
    case deleteShards = 0x12
    /// Empty → `StoreStatus`.
    case storeStatus = 0x13
    /// `OpenOrder` → `OrderState`.
    case openOrder = 0x14
    /// `OrderHead` → `OrderHeads`.
    case orderHead = 0x15
    /// `AmendOrder` → `OrderState`.
    case amendOrder = 0x16
    /// `FetchOrder` → `OrderDelta`.
    case fetchOrder = 0x17
    /// `ChallengeProvider` → `ChallengeAnswer`.
    case challenge = 0x18
    /// `PresentGrant` → empty.
    case presentGrant = 0x19
    /// `DeliverReceipt` → empty.
    case deliverReceipt = 0x1a
    /// `ListReceipts` → `ReceiptList`.
    case listReceipts = 0x1b
    /// `SetLeaving` → `StoreStatus`.
    case setLeaving = 0x1c
    /// `CompactOrder` → `OrderState`.
    case compactOrder = 0x1d
    /// `RetainShards` → `RetainedShards`.
    case retainShards = 0x1e
    /// `ListLoose` → `LooseShards`.
    case listLoose = 0x1f
    /// `Heartbeat` of the provider that asks → empty.
    case heartbeat = 0x20
    /// Empty → `ProviderList`.
    case listProviders = 0x21
    /// `VolumeRegistration` → empty.
    case registerVolume = 0x22
    /// Empty → `VolumeList`, those of who asks.
    case listVolumes = 0x23
    /// `ExportNetwork` → the network file's JSON.
    case exportNetwork = 0x24
    /// `FetchBeacons` → `BeaconList`.
    case fetchBeacons = 0x25
    /// `ReportCustody` → empty.
    case reportCustody = 0x26
    /// `ListScores` → `ScoreList`.
    case listScores = 0x27
    /// `Delegate` → `DelegationState`.
    case delegate = 0x28
    /// `Undelegate` → empty.
    case undelegate = 0x29
    /// `HoldVolume` → `DelegationState`.
    case holdVolume = 0x2a
    /// `PutStripes` → empty.
    case putStripes = 0x2b
    /// `ReplaceBucket` → empty.
    case replaceBucket = 0x2c
    /// `FetchRepairs` → `RepairList`.
    case fetchRepairs = 0x2d
    /// `VolumeHead` → empty.
    case putHead = 0x2e
    /// `GetHead` → `HeadList`.
    case getHead = 0x2f
    /// `HoldLease` → `LeaseState`.
    case holdLease = 0x30
    /// `ReleaseLease` → empty.
    case releaseLease = 0x31
    /// `RetainHead` → `RetainedUntil`.
    case retainHead = 0x32
    /// `ListRetained` → `RetainedHeads`.
    case listRetained = 0x33
    /// `FetchRetained` → `RetainedHeadContent`.
    case fetchRetained = 0x34
}
