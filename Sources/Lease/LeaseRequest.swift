package import Wire

/// A mount's wish for the writer lease of a volume, or for its renewal.
package struct LeaseRequest: Hashable, Message {
    package let holder: LeaseHolder
    /// What people call the holder: at most 255 bytes, no control characters.
    package let label: String
    /// 1...`LeaseTimes.termMax`; 0 asks how the lease stands and for nothing else.
    package let term: UInt64
    /// Whether to take the lease from a holder that is silent, without waiting any longer.
    package let isTakeover: Bool
    /// A holder that is known to be over, whose lease is taken over without waiting.
    package let predecessor: LeaseHolder?

    package init(
        holder: LeaseHolder,
        label: String,
        term: UInt64,
        isTakeover: Bool = false,
        predecessor: LeaseHolder? = nil
    ) {
        self.holder = holder
        self.label = label
        self.term = term
        self.isTakeover = isTakeover
        self.predecessor = predecessor
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(holder)
        writer.string(label)
        writer.integer(term)
        writer.boolean(isTakeover)
        writer.boolean(predecessor != nil)
        if let predecessor { writer.id(predecessor) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        holder = try reader.id()
        label = try reader.label("label", limit: LeaseHolder.labelBytesMax)
        term = try reader.leaseTerm()
        isTakeover = try reader.boolean("takeover")
        predecessor = try reader.boolean("predecessor") ? try reader.id() : nil
    }
}

extension ByteReader {
    /// A term of a lease, 0 for none.
    package mutating func leaseTerm() throws(DecodeError) -> UInt64 {
        let term = try integer(UInt64.self)
        guard term <= LeaseTimes.termMax else {
            throw .tooLong(field: "term", value: term, limit: LeaseTimes.termMax)
        }
        return term
    }
}
