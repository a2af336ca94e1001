package import Primitives
package import Wire

/// Has a keeper keep a head until a time at least, whatever heads come after it.
package struct RetainHead: Hashable, KeeperQuery {
    /// Until when it is kept.
    package typealias Answer = RetainedUntil
    package static let operation = Operation.retainHead
    package static let isForEveryKeeper = true

    /// Of a volume that the peer has registered, signed by the peer.
    package let head: VolumeHead
    /// Seconds since 1970; at most `RetainShards.secondsMax` from now.
    package let until: Int64

    package init(head: VolumeHead, until: Int64) {
        self.head = head
        self.until = until
    }

    package func write(to writer: inout ByteWriter) {
        head.write(to: &writer)
        writer.integer(until)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        head = try VolumeHead(from: &reader)
        until = try reader.integer()
    }
}

/// Until when a keeper keeps a head.
package struct RetainedUntil: Hashable, Message {
    /// Seconds since 1970.
    package let until: Int64

    package init(until: Int64) { self.until = until }

    package func write(to writer: inout ByteWriter) { writer.integer(until) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        until = try reader.integer()
    }
}

/// Asks which heads of a volume of the peer's a keeper retains.
package struct ListRetained: Hashable, KeeperQuery {
    /// Those that are.
    package typealias Answer = RetainedHeads
    package static let operation = Operation.listRetained

    package let volume: VolumeID

    package init(volume: VolumeID) { self.volume = volume }

    package func write(to writer: inout ByteWriter) { writer.id(volume) }

    package init(from reader: inout ByteReader) throws(DecodeError) { volume = try reader.id() }
}

/// What a keeper tells of a head that it retains.
package struct RetainedHead: Hashable, Message {
    /// `VolumeHead.digest`.
    package let digest: Digest
    package let version: UInt64
    /// When the head was made, by the clock of its maker.
    package let time: Timestamp
    /// When the keeper got it, by its own clock: nobody can date a head back.
    package let received: Timestamp
    /// Seconds since 1970.
    package let until: Int64

    package init(
        digest: Digest,
        version: UInt64,
        time: Timestamp,
        received: Timestamp,
        until: Int64
    ) {
        self.digest = digest
        self.version = version
        self.time = time
        self.received = received
        self.until = until
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(digest)
        writer.integer(version)
        writer.timestamp(time)
        writer.timestamp(received)
        writer.integer(until)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        digest = try reader.id()
        version = try reader.integer()
        time = try reader.timestamp()
        received = try reader.timestamp()
        until = try reader.integer()
    }
}

/// The heads of a volume that a keeper retains, by version.
package struct RetainedHeads: Hashable, Message {
    /// Of one volume: ten times as many as the standard policy keeps.
    package static let headsMax = 512

    package let heads: [RetainedHead]

    package init(heads: [RetainedHead]) { self.heads = heads }

    package func write(to writer: inout ByteWriter) { writer.list(heads) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        heads = try reader.list("retained heads", limit: Self.headsMax)
    }
}

/// Asks for a retained head of a volume of the peer's.
package struct FetchRetained: Hashable, KeeperQuery {
    /// The head and its key.
    package typealias Answer = RetainedHeadContent
    package static let operation = Operation.fetchRetained

    package let volume: VolumeID
    /// Of the head.
    package let digest: Digest

    package init(volume: VolumeID, digest: Digest) {
        self.volume = volume
        self.digest = digest
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(volume)
        writer.id(digest)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        digest = try reader.id()
    }
}

/// A retained head, and all that is needed beside the recovery phrase to read it.
package struct RetainedHeadContent: Hashable, Message {
    package let head: VolumeHead
    /// As it was when the keeper got the head: the key that is registered now may be another.
    package let registration: VolumeRegistration

    package init(head: VolumeHead, registration: VolumeRegistration) {
        self.head = head
        self.registration = registration
    }

    package func write(to writer: inout ByteWriter) {
        head.write(to: &writer)
        registration.write(to: &writer)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        head = try VolumeHead(from: &reader)
        registration = try VolumeRegistration(from: &reader)
    }
}
