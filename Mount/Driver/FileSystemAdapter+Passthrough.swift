import Disk
import FUSE
import Logging
import Primitives
import Synchronization
import Volume

extension FileSystemAdapter {
    /// How an opening that the engine has counted is served.
    ///
    /// Every answer is matched by `endService`.
    func beginService(
        _ ino: InodeNumber,
        _ how: OpenRequest,
        isNew: Bool,
        wait: Wait
    ) throws(FileSystemError) -> Service {
        guard passesThrough.load(ordering: .relaxed), let session else { return requests(ino, how) }
        let opening = ContentOpening(
            isForWriting: how.isForWriting,
            isForReading: how.isForReading,
            isDirect: how.isDirect,
            isSynchronous: how.isSynchronous,
            isNew: isNew,
            isTemporary: isNew && how.isExclusive && how.isForReading && how.isForWriting,
            mustBeSeen: !how.isForWriting && isReadDue(ino)
        )
        guard let file = try engine.openContent(ino, opening, wait: wait) else {
            return requests(ino, how)
        }
        do throws(Session.Failure) {
            let backing = try backings.open(ino) { () throws(Session.Failure) in
                try session.openBacking(file.fd)
            }
            if opening.mustBeSeen { noteRead(ino) }
            return how.isDirect ? .directRequests(backing) : .passthrough(backing)
        } catch {
            engine.closeContent(ino, isForWriting: how.isForWriting, passed: true)
            if passesThrough.exchange(false, ordering: .relaxed) {
                logger.warning(
                    "the kernel takes no files of the cache: \(error); all is done by requests"
                )
            }
            return requests(ino, how)
        }
    }

    /// Takes back what `beginService` answered.
    func endService(_ ino: InodeNumber, _ handle: OpenHandle) {
        guard handle.passesThrough else {
            guard passesThrough.load(ordering: .relaxed) else { return }
            let isOver =
                engine.closeContent(ino, isForWriting: handle.isForWriting, passed: false)
            // Else the next opening would wait for the kernel to drop them.
            if isOver { _ = kernelLane.tryRun { [self] in _ = dropKernelPages(of: ino) } }
            return
        }
        if let file = backings.close(ino) { session?.closeBacking(file) }
        let mayBeMapped = handle.isForWriting && engine.mayChangeUnseen(ino)
        engine.closeContent(ino, isForWriting: handle.isForWriting, passed: true)
        // Of stores to mapped memory the kernel does not know that they changed times.
        if mayBeMapped { forgetAttributes(of: ino) }
    }

    private func requests(_ ino: InodeNumber, _ how: OpenRequest) -> Service {
        .requests(keepsPages: how.isForWriting || !mustSeeRead(of: ino))
    }

    private func isReadDue(_ ino: InodeNumber) -> Bool {
        guard let attributes = try? engine.attributes(of: ino) else { return false }
        return engine.isReadDue(attributes, policy: accessTimes)
    }

    /// What the kernel reads by itself counts as read when it is opened.
    private func noteRead(_ ino: InodeNumber) {
        engine.noteRead(ino, policy: accessTimes)
        forgetAttributes(of: ino)
    }
}

extension Service {
    var passesThrough: Bool {
        if case .requests = self { false } else { true }
    }
}
