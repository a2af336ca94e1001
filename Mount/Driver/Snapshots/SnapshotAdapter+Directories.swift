package import FUSE
package import Primitives
import Volume

extension SnapshotAdapter {
    /// What a listing is made of.
    private enum Listed: Sendable {
        /// "." or "..".
        case dots(Int, InodeNumber)
        /// A directory whose attributes the kernel is to ask for.
        case directory(EntryName, InodeNumber, cookie: UInt64)
        case entry(DirectoryEntry, EntryTrust)
    }

    package func readDirectory(
        _ request: consuming Request,
        _ ino: InodeNumber,
        after cookie: UInt64,
        listing: consuming DirectoryListing
    ) {
        let caller = request.caller
        let (limit, bytesMax) = (listing.entryCountMax, listing.bytesMax)
        let carriesAttributes = listing.carriesAttributes
        // Each entry is a look into the database.
        serveWaiting(request, of: ino) { [self] wait throws(FileSystemError) in
            try list(ino, after: cookie, limit: limit, caller, wait)
        } reply: { request, listed in
            var listing = DirectoryListing(bytesMax: bytesMax, carriesAttributes: carriesAttributes)
            for item in listed {
                let isTaken =
                    switch item {
                    case .dots(let count, let ino):
                        listing.add(dots: count, of: ino, cookie: UInt64(count))
                    case .directory(let name, let ino, let cookie):
                        listing.add(directory: name, ino, cookie: cookie)
                    case .entry(let entry, let trust): listing.add(entry, trust: trust)
                    }
                guard isTaken else { break }
            }
            _ = request.reply(listing: listing)
        }
    }

    private func list(
        _ ino: InodeNumber,
        after cookie: UInt64,
        limit: Int,
        _ caller: Caller,
        _ wait: Wait
    ) throws(FileSystemError) -> [Listed] {
        if case .live = root {
            switch SnapshotInode(ino) {
            case .hidden?: return listHidden(after: cookie)
            case .list?: return try listSnapshots(after: cookie, limit: limit, wait)
            default: break
            }
        }
        let place = try place(ino, wait)
        try check(caller, may: 4, at: place)
        var listed: [Listed] = []
        if cookie < DirectoryListing.dotDotCookie {
            listed += Self.dots(of: ino, parent: try parent(of: place), after: cookie)
        }
        let entries = try place.tree.readDirectory(
            place.ino,
            after: max(cookie, DirectoryListing.dotDotCookie),
            limit: limit
        )
        for entry in entries {
            let shown = DirectoryEntry(
                name: entry.name,
                cookie: entry.cookie,
                attributes: try place.shown(entry.attributes)
            )
            listed.append(.entry(shown, place.trust))
        }
        return listed
    }

    /// "." and "..", as far as a listing that goes on after `cookie` lacks them.
    private static func dots(
        of ino: InodeNumber,
        parent: InodeNumber,
        after cookie: UInt64
    ) -> [Listed] {
        switch cookie {
        case 0: [.dots(1, ino), .dots(2, parent)]
        case 1: [.dots(2, parent)]
        default: []
        }
    }

    /// The number of the directory that holds a directory.
    private func parent(of place: Place) throws(FileSystemError) -> InodeNumber {
        if place.isRoot { return place.number > 0 ? SnapshotInode.list.number : .root }
        let parent = try place.tree.parent(of: place.ino)
        return place.number > 0 ? SnapshotInode.inode(place.number, parent).number : parent
    }

    private func listHidden(after cookie: UInt64) -> [Listed] {
        var listed = Self.dots(of: SnapshotInode.hidden.number, parent: .root, after: cookie)
        if cookie <= DirectoryListing.dotDotCookie, let name = try? EntryName(Self.listName) {
            let place = DirectoryListing.dotDotCookie + 1
            listed.append(.directory(name, SnapshotInode.list.number, cookie: place))
        }
        return listed
    }

    /// Lists the snapshots, each at a cookie made of its version, which stays.
    private func listSnapshots(
        after cookie: UInt64,
        limit: Int,
        _ wait: Wait
    ) throws(FileSystemError) -> [Listed] {
        var listed = Self.dots(
            of: SnapshotInode.list.number,
            parent: SnapshotInode.hidden.number,
            after: cookie
        )
        for (name, snapshot) in try trees.snapshots(wait: wait).directories {
            let (place, overflow) = snapshot.version.addingReportingOverflow(
                DirectoryListing.dotDotCookie + 1
            )
            guard !overflow, place > cookie, listed.count < limit,
                let name = try? EntryName(Array(name.utf8))
            else { continue }
            let number = try numbers.number(of: snapshot.version)
            let ino = SnapshotInode.inode(number, .root).number
            listed.append(.directory(name, ino, cookie: place))
        }
        return listed
    }
}
