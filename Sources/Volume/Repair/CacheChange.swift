import Cache
import Disk
import Primitives

/// A change of the cache directory, made after the database no longer names what it destroys.
enum CacheChange: Hashable {
    /// The cache file of an inode goes.
    case remove(InodeNumber)
    /// The cache file of an inode goes to `lost+found` in the cache directory: rows of the
    /// database are lost, and it may be all that is left of a file.
    case keep(InodeNumber)
    /// A range becomes a hole.
    case punch(InodeNumber, Range<UInt64>)

    private static let lostAndFound = "lost+found"

    /// What becomes of it, for people.
    var text: String {
        switch self {
        case .remove: "is removed"
        case .keep: "goes to \(Self.lostAndFound) in the cache directory"
        case .punch(_, let range): "bytes \(range.lowerBound)..<\(range.upperBound) are taken out"
        }
    }

    var ino: InodeNumber {
        switch self {
        case .remove(let ino), .keep(let ino), .punch(let ino, _): ino
        }
    }

    /// Makes the change in a cache that nobody uses; what is gone already is no error.
    func make(in directory: String) throws(FileSystemError) {
        let path = CacheStore.path(of: ino, in: directory)
        try onDisk { () throws(DiskError) in
            switch self {
            case .remove: try Directory.remove(tree: path)
            case .keep:
                let shelf = directory + "/" + Self.lostAndFound
                try Directory.make(shelf)
                try Directory.replace(shelf + "/" + String(ino.rawValue, radix: 16), with: path)
                try Directory.sync(shelf)
            case .punch(_, let range):
                guard WholeFile.exists(path) else { return }
                let file = try Descriptor(opening: path, .readWrite)
                try file.punchHole(range)
            }
        }
    }
}
