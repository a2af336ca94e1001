/// A table whose rows are the volume's and go wherever its metadata goes.
///
/// The numbers are part of the format of the journal. Tables that are not here tell of this host
/// only: what its cache holds, and how far its checkpoints are.
enum JournalTable: UInt8, CaseIterable, Sendable {
    case meta = 1
    case inode = 2
    case dentry = 3
    case orphan = 4
    case symlink = 5
    case fileKey = 6
    case xattr = 7
    case block = 8
    case stripe = 9
    case shard = 10
    case snapshot = 11

    /// Its name in the schema.
    var name: String {
        switch self {
        case .meta: "meta"
        case .inode: "inode"
        case .dentry: "dentry"
        case .orphan: "orphan"
        case .symlink: "symlink"
        case .fileKey: "file_key"
        case .xattr: "xattr"
        case .block: "block"
        case .stripe: "stripe"
        case .shard: "shard"
        case .snapshot: "snapshot"
        }
    }

    /// Its columns in the order of a record's values, those of the primary key first.
    var columns: [String] {
        switch self {
        case .meta: ["key", "value"]
        case .inode: InodeRow.columns.split(separator: ",").map { $0.trimmed }
        case .dentry: ["parent", "name", "ino", "cookie"]
        case .orphan: ["ino"]
        case .symlink: ["ino", "target"]
        case .fileKey: ["ino", "wrapped"]
        case .xattr: ["ino", "name", "value"]
        case .block:
            ["ino", "idx", "stripe", "offset", "plain", "valid", "segments", "checksum"]
        case .stripe: StripeRow.columns.split(separator: ",").map { $0.trimmed }
        case .shard: ["stripe", "idx", "shard", "provider", "root"]
        case .snapshot: ["version", "seconds", "name", "locked_until", "contents"]
        }
    }

    /// How many of the first columns are the primary key.
    var keyCount: Int {
        switch self {
        case .dentry, .xattr, .block, .shard: 2
        case .meta, .inode, .orphan, .symlink, .fileKey, .stripe, .snapshot: 1
        }
    }

    /// Puts a row in the place of the one with its key.
    var insertion: String {
        let marks = Array(repeating: "?", count: columns.count).joined(separator: ",")
        return "REPLACE INTO \(name)(\(columns.joined(separator: ", "))) VALUES(\(marks))"
    }

    /// Removes the row with a key.
    var removal: String {
        let terms = columns.prefix(keyCount).map { "\($0)=?" }
        return "DELETE FROM \(name) WHERE \(terms.joined(separator: " AND "))"
    }

    /// Removes all rows whose key begins with a value.
    var removalOfAll: String { "DELETE FROM \(name) WHERE \(columns[0])=?" }

    /// All rows that go with the volume, in order of their keys.
    var selection: String {
        let all = columns.joined(separator: ", ")
        let order = columns.prefix(keyCount).joined(separator: ", ")
        let travelling = self == .meta ? "WHERE \(MetaKey.travelling)" : ""
        return "SELECT \(all) FROM \(name) \(travelling) ORDER BY \(order)"
    }
}

extension Substring {
    fileprivate var trimmed: String { String(drop { $0 == " " }) }
}
