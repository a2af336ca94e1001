package import Primitives
package import Transport
package import Wire

/// A provider as a keeper's directory has it.
package struct ProviderRecord: Hashable, Message {
    /// The longest failure domain, in bytes; a node id in hexadecimal fits.
    package static let domainBytesMax = 64

    package let id: NodeID
    package let address: NodeAddress
    package let domain: String
    package let capacityBytes: UInt64
    package let usedBytes: UInt64
    /// Whether it answers: the keeper's word, corrected by our own attempts.
    package var isUp: Bool
    /// When the keeper heard of it last, by the keeper's clock.
    package let lastSeen: Timestamp
    /// When the keeper heard of it for the first time.
    package let firstSeen: Timestamp
    /// Takes nothing new, and waits for what it has to be moved away.
    package let isLeaving: Bool

    package init(
        id: NodeID,
        address: NodeAddress,
        domain: String,
        capacityBytes: UInt64,
        usedBytes: UInt64,
        isUp: Bool,
        lastSeen: Timestamp,
        firstSeen: Timestamp = .epoch,
        isLeaving: Bool = false
    ) {
        self.id = id
        self.address = address
        self.domain = domain
        self.capacityBytes = capacityBytes
        self.usedBytes = usedBytes
        self.isUp = isUp
        self.lastSeen = lastSeen
        self.firstSeen = firstSeen
        self.isLeaving = isLeaving
    }

    /// What it may still take.
    package var freeBytes: UInt64 { capacityBytes > usedBytes ? capacityBytes - usedBytes : 0 }

    package func write(to writer: inout ByteWriter) {
        writer.id(id)
        writer.address(address)
        writer.string(domain)
        writer.integer(capacityBytes)
        writer.integer(usedBytes)
        writer.boolean(isUp)
        writer.timestamp(lastSeen)
        writer.timestamp(firstSeen)
        writer.boolean(isLeaving)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        id = try reader.id()
        address = try reader.address()
        domain = try reader.label("domain", limit: Self.domainBytesMax)
        capacityBytes = try reader.integer()
        usedBytes = try reader.integer()
        isUp = try reader.boolean("up")
        lastSeen = try reader.timestamp()
        firstSeen = try reader.timestamp()
        isLeaving = try reader.boolean("leaving")
    }
}

/// A keeper's whole directory.
package struct ProviderList: Hashable, Message {
    /// The most providers of a network.
    ///
    /// So many of the longest records fit one frame of 4 MiB.
    package static let providersMax = 8192

    package let providers: [ProviderRecord]

    package init(providers: [ProviderRecord]) {
        self.providers = providers
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(UInt32(providers.count))
        for provider in providers { provider.write(to: &writer) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        let count = try reader.count("providers", limit: Self.providersMax)
        var providers: [ProviderRecord] = []
        for _ in 0..<count { providers.append(try ProviderRecord(from: &reader)) }
        self.providers = providers
    }
}
