import CFuse
import Glibc
package import Primitives

/// The entries that answer one request for a part of a directory.
package struct DirectoryListing: ~Copyable {
    /// Bytes of a plain entry without its name (`struct fuse_dirent`), and of one with attributes
    /// (`struct fuse_direntplus`); both are padded to 8.
    private static let plainBytes = 24
    private static let plusBytes = 152

    /// Whether the entries carry attributes, and so give the kernel a reference to each inode.
    package let carriesAttributes: Bool
    /// How long the kernel may trust the entries at most.
    private let secondsMax: Double
    private let buffer: UnsafeMutableRawBufferPointer
    private var used = 0

    /// An empty listing that takes up to `bytesMax` bytes, the room the kernel has.
    package init(
        bytesMax: Int,
        carriesAttributes: Bool,
        secondsMax: Double = CacheTime.seconds
    ) {
        self.secondsMax = secondsMax
        buffer = .allocate(byteCount: max(bytesMax, 1), alignment: 8)
        self.carriesAttributes = carriesAttributes
    }

    deinit { buffer.deallocate() }

    /// The bytes that it takes.
    package var bytesMax: Int { buffer.count }

    /// How many entries fit at most, if all names are short.
    package var entryCountMax: Int {
        buffer.count / (carriesAttributes ? Self.plusBytes : Self.plainBytes + 8) + 1
    }

    /// Adds "." or "..", which give no reference; `false` if it does not fit.
    package mutating func add(dots: Int, of ino: InodeNumber, cookie: UInt64) -> Bool {
        var entry = fuse_entry_param()
        entry.attr.st_ino = UInt(ino.rawValue)
        entry.attr.st_mode = S_IFDIR
        return add(Array(repeating: UInt8(ascii: "."), count: dots), &entry, cookie: cookie)
    }

    /// Adds an entry; `false`, and nothing added, if it does not fit.
    package mutating func add(_ entry: DirectoryEntry, trust: EntryTrust = .full) -> Bool {
        var parameters = fuse_entry_param(entry.attributes, trust.limited(to: secondsMax))
        return add(entry.name.bytes, &parameters, cookie: entry.cookie)
    }

    /// Adds a directory whose attributes the kernel is to ask for, which gives no reference;
    /// `false` if it does not fit.
    package mutating func add(
        directory name: EntryName,
        _ ino: InodeNumber,
        cookie: UInt64
    ) -> Bool {
        var entry = fuse_entry_param()
        entry.attr.st_ino = UInt(ino.rawValue)
        entry.attr.st_mode = S_IFDIR
        return add(name.bytes, &entry, cookie: cookie)
    }

    private mutating func add(
        _ name: [UInt8],
        _ entry: inout fuse_entry_param,
        cookie: UInt64
    ) -> Bool {
        guard let next = Int(exactly: cookie) else { return false }
        let room = buffer.count - used
        let start = buffer.baseAddress?.advanced(by: used).assumingMemoryBound(to: CChar.self)
        let text = name.map { CChar(bitPattern: $0) } + [0]
        // With no request libfuse only measures and fills; it never touches the argument.
        let needed =
            carriesAttributes
            ? fuse_add_direntry_plus(nil, start, room, text, &entry, next)
            : fuse_add_direntry(nil, start, room, text, &entry.attr, next)
        guard needed <= room else { return false }
        used += needed
        return true
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(UnsafeRawBufferPointer(rebasing: buffer[..<used]))
    }
}
