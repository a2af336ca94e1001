import Primitives

/// A POSIX access control list (`man 5 acl`), as the kernel keeps one in an extended attribute.
///
/// Layout (`linux/posix_acl_xattr.h`), little-endian: version u32 = 2, then per entry tag u16,
/// permissions u16, id u32. The entries are in order of tag, those of named users and groups in
/// order of id.
struct AccessList: Hashable, Sendable {
    /// Whom an entry is about, in the order of a list.
    enum Tag: UInt16, Sendable {
        case owner = 0x01
        case user = 0x02
        case owningGroup = 0x04
        case group = 0x08
        case mask = 0x10
        case other = 0x20
    }

    struct Entry: Hashable, Sendable {
        let tag: Tag
        /// Read 4, write 2, execute 1.
        var permissions: UInt16
        /// Number of a named user or group, else `noID`.
        let id: UInt32

        /// What an entry without a name holds in place of a number.
        static let noID = UInt32.max
    }

    /// Names of the attributes that hold a file's own list, and what is made in a directory gets.
    static let accessName = Array("system.posix_acl_access".utf8)
    static let defaultName = Array("system.posix_acl_default".utf8)

    private static let version: UInt32 = 2
    private static let headerBytes = 4
    private static let entryBytes = 8

    private(set) var entries: [Entry]

    /// Reads a list; `nil` if the bytes are not one that `acl_valid(3)` accepts.
    init?(_ bytes: [UInt8]) {
        func number(_ start: Int, _ count: Int) -> UInt32 {
            bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
        guard bytes.count >= Self.headerBytes, number(0, 4) == Self.version,
            (bytes.count - Self.headerBytes) % Self.entryBytes == 0
        else { return nil }
        entries = []
        for start in stride(from: Self.headerBytes, to: bytes.count, by: Self.entryBytes) {
            guard let tag = Tag(rawValue: UInt16(number(start, 2))) else { return nil }
            let permissions = UInt16(number(start + 2, 2))
            guard permissions <= 7 else { return nil }
            let isNamed = tag == .user || tag == .group
            let id = isNamed ? number(start + 4, 4) : Entry.noID
            entries.append(Entry(tag: tag, permissions: permissions, id: id))
        }
        guard isValid else { return nil }
    }

    /// One entry each for owner, owning group and others, at most one mask, and one if there is
    /// a named entry; in order, and none twice.
    private var isValid: Bool {
        for tag in [Tag.owner, .owningGroup, .other] {
            guard entries.count(where: { $0.tag == tag }) == 1 else { return false }
        }
        let masks = entries.count { $0.tag == .mask }
        guard masks <= 1, masks == 1 || !hasNames else { return false }
        return zip(entries, entries.dropFirst()).allSatisfy { first, second in
            let order = (first.tag.rawValue, second.tag.rawValue)
            guard order.0 == order.1 else { return order.0 < order.1 }
            return (first.tag == .user || first.tag == .group) && first.id < second.id
        }
    }

    private var hasNames: Bool { entries.contains { $0.tag == .user || $0.tag == .group } }

    /// The list as an extended attribute.
    var bytes: [UInt8] {
        func littleEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
            withUnsafeBytes(of: number.littleEndian) { Array($0) }
        }
        return littleEndian(Self.version)
            + entries.flatMap { entry in
                littleEndian(entry.tag.rawValue) + littleEndian(entry.permissions)
                    + littleEndian(entry.id)
            }
    }

    /// Whether mode bits say all that the list says.
    var isMode: Bool { entries.count == 3 }

    /// The permission bits of the file's mode: the mask, if there is one, stands for the group.
    var permissions: UInt16 {
        var bits: UInt16 = 0
        for entry in entries {
            switch entry.tag {
            case .owner: bits |= entry.permissions << 6
            case .owningGroup where !hasMask: bits |= entry.permissions << 3
            case .mask: bits |= entry.permissions << 3
            case .other: bits |= entry.permissions
            default: break
            }
        }
        return bits
    }

    private var hasMask: Bool { entries.contains { $0.tag == .mask } }

    /// Follows `chmod`: owner, others, and the mask or else the owning group get the mode's bits.
    mutating func setPermissions(_ mode: UInt16) {
        for index in entries.indices {
            switch entries[index].tag {
            case .owner: entries[index].permissions = mode >> 6 & 7
            case .owningGroup where !hasMask: entries[index].permissions = mode >> 3 & 7
            case .mask: entries[index].permissions = mode >> 3 & 7
            case .other: entries[index].permissions = mode & 7
            default: break
            }
        }
    }

    /// What a default list gives an inode that is made with `mode`: the list keeps the bits that
    /// `mode` has as well.
    func restricted(to mode: UInt16) -> AccessList {
        var list = self
        list.setPermissions(permissions & mode)
        return list
    }
}
