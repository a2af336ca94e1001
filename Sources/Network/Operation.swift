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
}
