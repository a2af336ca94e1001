package import Wire

/// How a lease stands at one keeper.
package enum LeaseStanding: UInt8, Hashable, Sendable, CaseIterable {
    /// Nobody has it, or it was given back, or its holder has been silent for long.
    case free = 0
    /// Its holder was not heard of for the time to live; it is kept for it, unless somebody asks
    /// to take it over.
    case lapsed = 1
    /// Its holder has it.
    case held = 2
}

/// A keeper's answer to a `LeaseRequest`: how the lease stands now.
package struct LeaseState: Hashable, Message {
    /// The newest term that the keeper knows, of a lease or a head; 0 for none.
    package let term: UInt64
    /// Who has the lease, or had it last; `LeaseHolder.nobody` if nobody ever had.
    package let holder: LeaseHolder
    package let label: String
    package let standing: LeaseStanding
    /// Whole seconds, rounded up, until the lease stands otherwise if its holder stays silent; 0
    /// if it is free.
    package let secondsLeft: UInt32
    /// Whether the lease is now that of who asks, under the term asked for; for term 0, whether
    /// who asks is its holder.
    package let isYours: Bool

    package init(
        term: UInt64,
        holder: LeaseHolder,
        label: String,
        standing: LeaseStanding,
        secondsLeft: UInt32,
        isYours: Bool
    ) {
        self.term = term
        self.holder = holder
        self.label = label
        self.standing = standing
        self.secondsLeft = secondsLeft
        self.isYours = isYours
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(term)
        writer.id(holder)
        writer.string(label)
        writer.integer(standing.rawValue)
        writer.integer(secondsLeft)
        writer.boolean(isYours)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        term = try reader.leaseTerm()
        holder = try reader.id()
        label = try reader.label("label", limit: LeaseHolder.labelBytesMax)
        let standing = try reader.integer(UInt8.self)
        guard let standing = LeaseStanding(rawValue: standing) else {
            throw .invalid(field: "standing of a lease", reason: "\(standing)")
        }
        self.standing = standing
        secondsLeft = try reader.integer()
        isYours = try reader.boolean("yours")
    }
}
