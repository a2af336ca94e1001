package import Wire

/// Who answers at an address.
package struct NodeDescription: Hashable, Message {
    /// What a node does.
    package enum Role: UInt8, Sendable, CaseIterable, CustomStringConvertible {
        case provider = 1
        case keeper = 2

        package var description: String {
            switch self {
            case .provider: "provider"
            case .keeper: "keeper"
            }
        }
    }

    /// The most bytes of a program's name and version.
    package static let softwareBytesMax = 128

    package let role: Role
    /// Name and version of the program, for people.
    package let software: String

    package init(role: Role, software: String) {
        self.role = role
        self.software = software
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(role.rawValue)
        writer.string(software)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        let value = try reader.integer(UInt8.self)
        guard let role = Role(rawValue: value) else {
            throw .invalid(field: "role", reason: "\(value)")
        }
        self.role = role
        software = try reader.label("software", limit: Self.softwareBytesMax)
    }
}
