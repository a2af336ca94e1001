package import Disk
import Glibc

/// What is mounted, as `/proc/self/mountinfo` tells (`man 5 proc`).
package struct MountTable: Hashable, Sendable {
    /// One mount.
    package struct Entry: Hashable, Sendable {
        package let mountPoint: String
        /// MAJOR:MINOR of the filesystem, as in `st_dev`.
        package let device: String
        package let type: String
        package let source: String

        /// Whether it is one of ours.
        package var isVolume: Bool { type == "fuse.mefs" && source.hasPrefix("mefs:") }
    }

    /// The longest table that is looked at.
    private static let bytesMax = 64 << 20

    /// Oldest first; of two at one mount point the later covers the earlier.
    package let entries: [Entry]

    /// Reads the table of this process's mount namespace.
    package static func current() throws(DiskError) -> MountTable {
        MountTable(parsing: try WholeFile.read("/proc/self/mountinfo", limit: bytesMax))
    }

    /// Parses the table's text; lines of another shape are left out.
    package init(parsing bytes: [UInt8]) {
        entries = bytes.split(separator: UInt8(ascii: "\n")).compactMap(Self.entry)
    }

    private static func entry(_ line: ArraySlice<UInt8>) -> Entry? {
        let fields = line.split(separator: UInt8(ascii: " "))
        // Optional fields end with a lone "-".
        guard let dash = fields.firstIndex(where: { $0.elementsEqual([UInt8(ascii: "-")]) }),
            dash >= 6, fields.count > dash + 2
        else { return nil }
        return Entry(
            mountPoint: text(fields[4]),
            device: text(fields[2]),
            type: text(fields[dash + 1]),
            source: text(fields[dash + 2])
        )
    }

    /// Undoes the kernel's escapes: a backslash and three octal digits.
    private static func text(_ field: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What is mounted at `path`, which must be absolute and without symbolic links; `nil` if
    /// nothing is.
    package func top(at path: String) -> Entry? {
        entries.last { $0.mountPoint == path }
    }
}
