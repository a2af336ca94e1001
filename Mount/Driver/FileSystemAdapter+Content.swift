package import FUSE
package import Primitives
import Glibc
import Volume

extension FileSystemAdapter {
    /// The longest file whose pages the kernel drops so that a reading is seen: 1 MiB, which
    /// comes back in one request.
    private static let droppedBytesMax: UInt64 = 1 << 20

    // MARK: Opening and closing

    package func create(
        _ request: consuming Request,
        _ new: NewInode,
        name: [UInt8],
        in parent: InodeNumber,
        how: OpenRequest
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        let engine = engine
        serve(request, on: dataLane) { [self] wait throws(FileSystemError) in
            // What waits for the disk must not find what it made before.
            guard wait == .allowed || !how.isSynchronous else {
                throw FileSystemError(.wouldWait, "would wait")
            }
            let name = try entryName(name)
            let (attributes, isNew) = try createOrFind(new, named: name, in: parent, how)
            let ino = attributes.ino
            let cuts = how.truncates && !isNew
            let service = try open(ino, how, truncates: cuts, isNew: isNew, wait: wait)
            engine.retain(ino)
            return (cuts ? try engine.attributes(of: ino) : attributes, service)
        } reply: { [self] request, made in
            replyCreated(request, made.0, how, made.1)
        }
    }

    package func createUnnamed(
        _ request: consuming Request,
        _ new: NewInode,
        in parent: InodeNumber,
        how: OpenRequest
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        let engine = engine
        serve(request, on: dataLane) { [self] wait throws(FileSystemError) in
            guard wait == .allowed || !how.isSynchronous else {
                throw FileSystemError(.wouldWait, "would wait")
            }
            let forWriting = how.isForWriting
            let attributes = try engine.createUnnamed(new, in: parent, forWriting: forWriting)
            do throws(FileSystemError) {
                let service = try beginService(attributes.ino, how, isNew: true, wait: wait)
                return (attributes, service)
            } catch {
                engine.release(attributes.ino, forWriting: forWriting)
                engine.forget(attributes.ino, count: 1)
                throw error
            }
        } reply: { [self] request, made in
            replyCreated(request, made.0, how, made.1)
        }
    }

    private func replyCreated(
        _ request: consuming Request,
        _ attributes: Attributes,
        _ how: OpenRequest,
        _ service: Service
    ) {
        let ino = attributes.ino
        if how.isForWriting { writers.add(ino) }
        let isTaken = request.replyCreated(attributes, forWriting: how.isForWriting, service)
        guard !isTaken else { return }
        closed(
            ino,
            OpenHandle(isForWriting: how.isForWriting, passesThrough: service.passesThrough)
        )
        engine.forget(ino, count: 1)
    }

    /// Counts an opening and chooses how it is served.
    private func open(
        _ ino: InodeNumber,
        _ how: OpenRequest,
        truncates: Bool,
        isNew: Bool,
        wait: Wait
    ) throws(FileSystemError) -> Service {
        try engine.open(ino, forWriting: how.isForWriting, truncate: truncates, wait: wait)
        do throws(FileSystemError) {
            return try beginService(ino, how, isNew: isNew, wait: wait)
        } catch {
            engine.release(ino, forWriting: how.isForWriting)
            throw error
        }
    }

    /// Makes the file; takes the one that is there if the kernel's view of it was out of date.
    private func createOrFind(
        _ new: NewInode,
        named name: EntryName,
        in parent: InodeNumber,
        _ how: OpenRequest
    ) throws(FileSystemError) -> (Attributes, isNew: Bool) {
        do throws(FileSystemError) {
            return (try engine.create(new, named: name, in: parent), true)
        } catch {
            guard error.code == .exists, !how.isExclusive else { throw error }
            return (try engine.lookup(name, in: parent), false)
        }
    }

    package func open(_ request: consuming Request, _ ino: InodeNumber, how: OpenRequest) {
        guard !refusesChanges || !(how.isForWriting || how.truncates) else {
            return request.fail(EROFS)
        }
        let engine = engine
        let caller = request.caller
        serve(request, on: dataLane) { [self] wait throws(FileSystemError) in
            if how.truncates, how.killsPrivileges {
                try engine.stripPrivileges(of: ino, by: caller)
            }
            do throws(FileSystemError) {
                return try open(ino, how, truncates: how.truncates, isNew: false, wait: wait)
            } catch {
                throw error.code == .notFound ? FileSystemError(.stale, error.message) : error
            }
        } reply: { [self] request, service in
            if how.isForWriting { writers.add(ino) }
            guard !request.replyOpened(forWriting: how.isForWriting, service) else { return }
            closed(
                ino,
                OpenHandle(isForWriting: how.isForWriting, passesThrough: service.passesThrough)
            )
        }
    }

    /// Whether the next reading is to change the access time, and so must not be answered from the
    /// kernel's pages.
    ///
    /// Dropping those of a long file would cost more than an access time is worth, and of an empty
    /// one no byte is ever asked for: they count as read when they are opened.
    func mustSeeRead(of ino: InodeNumber) -> Bool {
        guard let attributes = try? engine.attributes(of: ino),
            engine.isReadDue(attributes, policy: accessTimes)
        else { return false }
        if (1...Self.droppedBytesMax).contains(attributes.size) { return true }
        engine.noteRead(ino, policy: accessTimes)
        forgetAttributes(of: ino)
        return false
    }

    package func release(_ request: consuming Request, _ ino: InodeNumber, _ handle: OpenHandle) {
        guard handle.passesThrough, handle.isForWriting, engine.closesSlowly(ino) else {
            closed(ino, handle)
            return request.done()
        }
        serveWaiting(request, on: syncLane) { [self] _ throws(FileSystemError) in
            closed(ino, handle)
        } reply: { request, _ in
            request.done()
        }
    }

    private func closed(_ ino: InodeNumber, _ handle: OpenHandle) {
        endService(ino, handle)
        if handle.isForWriting { writers.remove(ino) }
        engine.release(ino, forWriting: handle.isForWriting)
    }

    // MARK: Reading and writing

    package func read(
        _ request: consuming Request,
        _ ino: InodeNumber,
        offset: UInt64,
        count: Int
    ) {
        let buffer = ReadBuffer(byteCount: count)
        switch fill(buffer, ino, offset, .never) {
        case .success(let got):
            engine.noteRead(ino, policy: accessTimes)
            request.reply(bytes: buffer.prefix(got))
        case .failure(let error) where error.code == .wouldWait:
            let handover = request.handOver()
            dataLane.run { [self] in
                switch fill(buffer, ino, offset, .allowed) {
                case .success(let got):
                    engine.noteRead(ino, policy: accessTimes)
                    handover.take().reply(bytes: buffer.prefix(got))
                case .failure(let error): fail(handover.take(), error)
                }
            }
        case .failure(let error): fail(request, error)
        }
    }

    private func fill(
        _ buffer: ReadBuffer,
        _ ino: InodeNumber,
        _ offset: UInt64,
        _ wait: Wait
    ) -> Result<Int, FileSystemError> {
        attempt { () throws(FileSystemError) in
            try engine.read(ino, offset: offset, into: buffer.bytes, wait: wait)
        }
    }

    package func write(
        _ request: consuming Request,
        _ ino: InodeNumber,
        offset: UInt64,
        bytes: UnsafeRawBufferPointer,
        killsPrivileges: Bool,
        isFromCache: Bool
    ) {
        guard !refusesChanges || isFromCache else { return request.fail(EROFS) }
        if killsPrivileges {
            let caller = request.caller
            let stripped = attempt { () throws(FileSystemError) in
                try engine.stripPrivileges(of: ino, by: caller)
            }
            if case .failure(let error) = stripped { return fail(request, error) }
        }
        let written = attempt { () throws(FileSystemError) in
            try engine.write(
                ino,
                offset: offset,
                from: bytes,
                keepsTimes: isFromCache,
                wait: .never
            )
        }
        switch written {
        case .success(let count): request.reply(written: count)
        case .failure(let error) where error.code == .wouldWait:
            write(request, ino, offset, copy: Array(bytes), keepsTimes: isFromCache)
        case .failure(let error): fail(request, error)
        }
    }

    private func write(
        _ request: consuming Request,
        _ ino: InodeNumber,
        _ offset: UInt64,
        copy: [UInt8],
        keepsTimes: Bool
    ) {
        let engine = engine
        serveWaiting(request, on: dataLane) { [self] wait throws(FileSystemError) in
            try copy.withUnsafeBytes { bytes in
                attempt { () throws(FileSystemError) in
                    try engine.write(
                        ino,
                        offset: offset,
                        from: bytes,
                        keepsTimes: keepsTimes,
                        wait: wait
                    )
                }
            }.get()
        } reply: { request, count in
            request.reply(written: count)
        }
    }

    package func sync(_ request: consuming Request, _ ino: InodeNumber, dataOnly: Bool) {
        let engine = engine
        serve(request, on: syncLane) { wait throws(FileSystemError) in
            try engine.sync(ino, dataOnly: dataOnly, wait: wait)
        } reply: { request, _ in
            request.done()
        }
    }

    // MARK: Space

    package func allocate(
        _ request: consuming Request,
        _ ino: InodeNumber,
        range: Range<UInt64>,
        mode: AllocationMode?
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        guard let mode else { return request.fail(EOPNOTSUPP) }
        let engine = engine
        let caller = request.caller
        serve(request, on: dataLane) { wait throws(FileSystemError) in
            try engine.checkPrivileges(of: ino, changedBy: caller)
            switch mode {
            case .reserve:
                try engine.allocate(ino, range: range, keepSize: false, wait: wait)
            case .reserveKeepingSize:
                try engine.allocate(ino, range: range, keepSize: true, wait: wait)
            case .punchHole:
                try engine.punchHole(ino, range: range, wait: wait)
            case .zero:
                try engine.zeroRange(ino, range: range, keepSize: false, wait: wait)
            case .zeroKeepingSize:
                try engine.zeroRange(ino, range: range, keepSize: true, wait: wait)
            }
        } reply: { request, _ in
            request.done()
        }
    }

    /// Looks for data or a hole.
    ///
    /// The kernel writes nothing back before it asks, so while somebody may be writing, pages the
    /// engine has not seen may hold data where it sees a hole or the end. It is made to write them
    /// back first, on a lane of its own: that sends write requests and waits for their replies.
    package func seek(
        _ request: consuming Request,
        _ ino: InodeNumber,
        from offset: UInt64,
        to target: SeekKind
    ) {
        guard writers.contains(ino) else {
            return finishSeek(request, ino, offset, target)
        }
        let handover = request.handOver()
        let isQueued = kernelLane.tryRun { [self] in
            guard dropKernelPages(of: ino) else { return handover.take().fail(EIO) }
            finishSeek(handover.take(), ino, offset, target)
        }
        if !isQueued { handover.take().fail(EAGAIN) }
    }

    private func finishSeek(
        _ request: consuming Request,
        _ ino: InodeNumber,
        _ offset: UInt64,
        _ target: SeekKind
    ) {
        let found = attempt { () throws(FileSystemError) in
            try engine.seek(ino, from: offset, to: target == .data ? .data : .hole)
        }
        switch found {
        case .success(let offset): request.reply(offset: offset)
        case .failure(let error): fail(request, error)
        }
    }

    package func copyRange(
        _ request: consuming Request,
        from source: InodeNumber,
        at sourceOffset: UInt64,
        to target: InodeNumber,
        at targetOffset: UInt64,
        count: UInt64
    ) {
        guard !refusesChanges else { return request.fail(EROFS) }
        let engine = engine
        let caller = request.caller
        serve(request, on: dataLane) { wait throws(FileSystemError) in
            if count > 0 { try engine.checkPrivileges(of: target, changedBy: caller) }
            return try engine.copyRange(
                from: source,
                at: sourceOffset,
                to: target,
                at: targetOffset,
                count: count,
                wait: wait
            )
        } reply: { request, copied in
            // More than `count` is never copied, and the kernel asks for less than 2^31.
            request.reply(written: Int(clamping: copied))
        }
    }
}

/// Room for the answer to one read.
final class ReadBuffer: @unchecked Sendable {
    // SAFETY: one thread at a time uses it: the session's, then the one it is handed to.
    let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
        bytes = .allocate(byteCount: byteCount, alignment: 16)
    }

    deinit { bytes.deallocate() }

    func prefix(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[..<count])
    }
}
