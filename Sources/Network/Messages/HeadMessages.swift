import Lease
package import Primitives
package import Wire

/// Gives a keeper a newer head of a volume that is registered there.
package struct PutHead: Hashable, KeeperQuery {
    /// That it is durable there.
    package typealias Answer = Nothing
    package static let operation = Operation.putHead
    package static let isForEveryKeeper = true

    package let head: VolumeHead

    package init(head: VolumeHead) { self.head = head }

    package func write(to writer: inout ByteWriter) { head.write(to: &writer) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        head = try VolumeHead(from: &reader)
    }
}

/// Asks for the newest head of a volume of who asks.
package struct GetHead: Hashable, KeeperQuery {
    /// What the keeper has.
    package typealias Answer = HeadList
    package static let operation = Operation.getHead

    package let volume: VolumeID

    package init(volume: VolumeID) { self.volume = volume }

    package func write(to writer: inout ByteWriter) { writer.id(volume) }

    package init(from reader: inout ByteReader) throws(DecodeError) { volume = try reader.id() }
}

/// What a keeper has of a volume's heads.
package struct HeadList: Hashable, Message {
    /// The newest; `nil` if it has none.
    package let head: VolumeHead?
    /// The newest term of a writer lease that the keeper knows, of a lease or a head; 0 for none.
    package let term: UInt64

    package init(head: VolumeHead?, term: UInt64) {
        self.head = head
        self.term = term
    }

    package func write(to writer: inout ByteWriter) {
        writer.optional(head)
        writer.integer(term)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        head = try reader.optional("head")
        term = try reader.leaseTerm()
    }
}
