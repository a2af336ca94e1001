package import FUSE
package import Primitives
import Volume

extension FileSystemAdapter {
    package func readDirectory(
        _ request: consuming Request,
        _ ino: InodeNumber,
        after cookie: UInt64,
        listing: consuming DirectoryListing
    ) {
        var listing = listing
        let referenced: [InodeNumber]
        do throws(FileSystemError) {
            referenced = try listing.fill(with: ino, after: cookie) {
                () throws(FileSystemError) in
                try engine.parent(of: ino)
            } entries: { cookie, limit throws(FileSystemError) in
                try engine.readDirectory(ino, after: cookie, limit: limit)
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

    package func syncDirectory(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool) {
        let engine = engine
        serve(request, on: syncLane) { wait throws(FileSystemError) in
            try engine.syncDirectory(ino, wait: wait)
        } reply: { request, _ in
            request.done()
        }
    }
}
