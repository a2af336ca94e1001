import FUSE
import Primitives

/// What listings of the live tree and of a followed one have in common.
extension DirectoryListing {
    /// Cookies of "." and "..", which trees do not list; those of entries begin above.
    static let dotCookie: UInt64 = 1
    static let dotDotCookie: UInt64 = 2

    /// Adds what of the directory `ino` comes after `cookie`, as far as there is room.
    ///
    /// `entries` lists at most `limit` of them after a cookie.
    ///
    /// - Returns: Inodes of entries with attributes, each a reference that the kernel gets.
    mutating func fill(
        with ino: InodeNumber,
        after cookie: UInt64,
        parent: () throws(FileSystemError) -> InodeNumber,
        entries: (_ cookie: UInt64, _ limit: Int) throws(FileSystemError) -> [DirectoryEntry]
    ) throws(FileSystemError) -> [InodeNumber] {
        if cookie < Self.dotCookie {
            guard add(dots: 1, of: ino, cookie: Self.dotCookie) else { return [] }
        }
        if cookie < Self.dotDotCookie {
            guard add(dots: 2, of: try parent(), cookie: Self.dotDotCookie) else { return [] }
        }
        var referenced: [InodeNumber] = []
        for entry in try entries(max(cookie, Self.dotDotCookie), entryCountMax) {
            guard add(entry) else { break }
            if carriesAttributes { referenced.append(entry.attributes.ino) }
        }
        return referenced
    }
}
