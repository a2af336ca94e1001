package import Primitives
package import Transport
package import Wire

/// Asks a keeper for a network file with its signature.
package struct ExportNetwork: Hashable, Message {
    /// Name for the network; empty = the keeper's choice.
    package let name: String
    package let code: ErasureCode
    /// Where the one who asks reached the keeper; the file names it, unless the keeper was
    /// started with an address to advertise.
    package let address: NodeAddress

    package init(name: String, code: ErasureCode, address: NodeAddress) {
        self.name = name
        self.code = code
        self.address = address
    }

    package func write(to writer: inout ByteWriter) {
        writer.string(name)
        writer.code(code)
        writer.address(address)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        name = try reader.label("name", limit: NetworkFile.nameBytesMax)
        code = try reader.code()
        address = try reader.address()
    }
}
