package import Transport
package import Wire

/// What a provider tells its keepers every few seconds.
///
/// Who it is, the connection proves.
package struct Heartbeat: Hashable, Message {
    /// How often a provider sends it.
    ///
    /// Each costs a keeper and a provider, that sleep otherwise, some tenths of a millisecond.
    package static let interval = Duration.seconds(10)
    /// A provider not heard of for so long is down: two beats may be lost.
    package static let upFor = Duration.seconds(30)

    /// Where users reach the provider.
    package let address: NodeAddress
    /// Failure domain: providers that fail together share it.
    package let domain: String
    package let capacityBytes: UInt64
    package let usedBytes: UInt64
    /// Takes nothing new, and waits for what it has to be moved away.
    package let isLeaving: Bool
    /// Shards under an order that the provider knows to be rotten or gone.
    package let damagedShards: UInt64

    package init(
        address: NodeAddress,
        domain: String,
        capacityBytes: UInt64,
        usedBytes: UInt64,
        isLeaving: Bool = false,
        damagedShards: UInt64 = 0
    ) {
        self.address = address
        self.domain = domain
        self.capacityBytes = capacityBytes
        self.usedBytes = usedBytes
        self.isLeaving = isLeaving
        self.damagedShards = damagedShards
    }

    package func write(to writer: inout ByteWriter) {
        writer.address(address)
        writer.string(domain)
        writer.integer(capacityBytes)
        writer.integer(usedBytes)
        writer.boolean(isLeaving)
        writer.integer(damagedShards)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        address = try reader.address()
        domain = try reader.label("domain", limit: ProviderRecord.domainBytesMax)
        capacityBytes = try reader.integer()
        usedBytes = try reader.integer()
        isLeaving = try reader.boolean("leaving")
        damagedShards = try reader.integer()
    }
}
