package import Lease
package import Primitives
package import Wire

/// Asks a keeper for the writer lease of a volume of who asks, renews it, or asks how it stands.
package struct HoldLease: Hashable, KeeperQuery {
    /// How the lease stands now, whether it was granted or not.
    package typealias Answer = LeaseState
    package static let operation = Operation.holdLease

    package let volume: VolumeID
    package let request: LeaseRequest

    package init(volume: VolumeID, request: LeaseRequest) {
        self.volume = volume
        self.request = request
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(volume)
        request.write(to: &writer)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        request = try LeaseRequest(from: &reader)
    }
}

/// Gives a writer lease back.
package struct ReleaseLease: Hashable, KeeperQuery {
    /// That the lease is not, or no longer, that holder's under that term.
    package typealias Answer = Nothing
    package static let operation = Operation.releaseLease

    package let volume: VolumeID
    package let holder: LeaseHolder
    package let term: UInt64

    package init(volume: VolumeID, holder: LeaseHolder, term: UInt64) {
        self.volume = volume
        self.holder = holder
        self.term = term
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(volume)
        writer.id(holder)
        writer.integer(term)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        holder = try reader.id()
        term = try reader.leaseTerm()
    }
}
