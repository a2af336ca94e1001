package import FUSE
package import Primitives
import Volume

extension FileSystemAdapter {
    /// Cookies of "." and "..", which the engine does not list; its own begin above.
    private static let dotCookie: UInt64 = 1
    private static let dotDotCookie: UInt64 = 2

    package func readDirectory(
        _ request: consuming Request,
        _ ino: InodeNumber,
        after cookie: UInt64,
        listing: consuming DirectoryListing
    ) {
        var listing = listing
        // Entries with attributes each give the kernel a reference to their inode.
        var referenced: [InodeNumber] = []
        do throws(FileSystemError) {
            let isFull = try !addDots(to: &listing, of: ino, after: cookie)
            if !isFull {
                let entries = try engine.readDirectory(
                    ino,
                    after: max(cookie, Self.dotDotCookie),
                    limit: listing.entryCountMax
                )
                for entry in entries {
                    guard listing.add(entry) else { break }
                    if listing.carriesAttributes { referenced.append(entry.attributes.ino) }
                }
            }
        } catch {
            return fail(request, error)
        }
        engine.noteRead(ino, policy: directoryAccessTimes)
        for ino in referenced { engine.retain(ino) }
        if !request.reply(listing: listing) {
            for ino in referenced { engine.forget(ino, count: 1) }
        }
    }

    /// - Returns: whether there is room for more.
    private func addDots(
        to listing: inout DirectoryListing,
        of ino: InodeNumber,
        after cookie: UInt64
    ) throws(FileSystemError) -> Bool {
        if cookie < Self.dotCookie {
            guard listing.add(dots: 1, of: ino, cookie: Self.dotCookie) else { return false }
        }
        if cookie < Self.dotDotCookie {
            let parent = try engine.parent(of: ino)
            guard listing.add(dots: 2, of: parent, cookie: Self.dotDotCookie) else {
                return false
            }
        }
        return true
    }

    package func syncDirectory(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool) {
        let engine = engine
        serve(request, on: syncLane) { wait throws(FileSystemError) in
            try engine.syncDirectory(ino, wait: wait)
        } reply: { request, _ in
            request.done()
        }
    }
}
