package import Primitives
import Metadata

/// The cloning of a file or of a directory with all below it.
///
/// A directory comes first, then what is in it, each file whole; its times come last. So whatever
/// ends it early leaves a part of the tree that can be used, and removed.
package final class TreeClone {
    /// Entries that are asked for at once.
    private static let pageMax = 1024
    /// Files with several names that are remembered, 32 MiB of them; what further ones share is
    /// their bytes alone.
    private static let linkedMax = 1 << 20
    /// Failures that are told one by one; the others are counted.
    private static let failuresMax = 100

    /// An entry that was made.
    package struct Made: Sendable {
        package let name: EntryName
        package let parent: InodeNumber
        package let attributes: Attributes
    }

    /// What was done so far.
    package struct Outcome: Hashable, Sendable {
        /// Regular files, and the bytes that they seem to have.
        package var files: UInt64 = 0
        package var bytes: UInt64 = 0
        package var directories: UInt64 = 0
        /// Links, devices, FIFOs, sockets; further names of what was cloned already.
        package var others: UInt64 = 0
        /// Entries that could not be cloned.
        package var failed: UInt64 = 0
        /// The first of them, with their paths from the source on.
        package var failures: [Failure] = []

        /// Nothing yet.
        package init() {}

        /// All that was made.
        package var entries: UInt64 { files + directories + others }
    }

    /// An entry that could not be cloned, and why.
    package struct Failure: Hashable, Sendable {
        package let path: String
        package let reason: String
    }

    /// A directory that is being cloned.
    private struct Frame {
        let source: InodeNumber
        /// Its clone, as it is to be in the end.
        let made: Attributes
        let path: String
        var entries: ArraySlice<DirectoryEntry> = []
        var cookie: UInt64 = 0
    }

    private let engine: VolumeEngine
    private let source: any CloneSource
    private let isLive: Bool
    private let owner: CloneOwner
    private let onMade: (Made) -> Void
    private let onFilled: (InodeNumber) -> Void
    private let mayGoOn: (Outcome) -> Bool
    private var outcome = Outcome()
    /// Clones of files with several names.
    private var linked: [InodeNumber: InodeNumber] = [:]
    private var frames: [Frame] = []
    private var root: InodeNumber?

    /// - Parameters:
    ///   - engine: Where the clone is made.
    ///   - snapshot: What it is made of; `nil` for the live tree.
    ///   - owner: Whom it is to belong to.
    ///   - onMade: Called after each entry; a directory is empty then.
    ///   - onFilled: Called when a directory is done.
    ///   - onPlacing: Called while bytes are placed, with how many are still to be.
    ///   - mayGoOn: Called now and then; answers whether anybody still wants it.
    package init(
        _ engine: VolumeEngine,
        of snapshot: (any CloneSource)? = nil,
        owner: CloneOwner = .kept,
        onMade: @escaping (Made) -> Void = { _ in },
        onFilled: @escaping (InodeNumber) -> Void = { _ in },
        onPlacing: @escaping (UInt64) -> Void = { _ in },
        mayGoOn: @escaping (Outcome) -> Bool = { _ in true }
    ) {
        self.engine = engine
        source = snapshot ?? engine.cloneSource(onPlacing: onPlacing)
        isLive = snapshot == nil
        self.owner = owner
        self.onMade = onMade
        self.onFilled = onFilled
        self.mayGoOn = mayGoOn
    }

    /// Clones `ino` as `name` in `parent`, and makes it durable on this host.
    ///
    /// - Throws: `exists`; `invalid` if it would be cloned into itself; whatever keeps all of it
    ///   from being cloned. What concerns one entry of a tree only is in the outcome.
    package func run(
        _ ino: InodeNumber,
        as name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Outcome {
        if isLive { try refuseBelow(ino, parent) }
        try clone(ino, as: name, in: parent, path: "\(name)")
        var seen = outcome.entries
        while !frames.isEmpty {
            try step()
            if outcome.entries >= seen + UInt64(Self.pageMax) {
                seen = outcome.entries
                guard mayGoOn(outcome) else {
                    throw FileSystemError(
                        .busy,
                        "nobody waits for it any more; \(outcome.entries) entries are there"
                    )
                }
            }
        }
        try engine.metadata.sync()
        return outcome
    }

    /// A tree that grew into itself would never end.
    private func refuseBelow(
        _ ino: InodeNumber,
        _ parent: InodeNumber
    ) throws(FileSystemError) {
        var directory = parent
        while true {
            guard directory != ino else {
                throw FileSystemError(.invalid, "a directory cannot be cloned into itself")
            }
            if directory == .root { return }
            directory = try engine.parent(of: directory)
        }
    }

    /// Does the next entry of the innermost directory, or ends that.
    private func step() throws(FileSystemError) {
        var frame = frames.removeLast()
        if frame.entries.isEmpty {
            let page = try page(of: frame)
            guard let last = page.last else { return try finish(frame) }
            frame.entries = page[...]
            frame.cookie = last.cookie
        }
        guard let entry = frame.entries.popFirst() else { return }
        frames.append(frame)
        // It may have been moved below itself since.
        guard !isLive || entry.attributes.ino != root else { return }
        let path = "\(frame.path)/\(entry.name)"
        do throws(FileSystemError) {
            try clone(entry.attributes.ino, as: entry.name, in: frame.made.ino, path: path)
        } catch {
            try note(error, at: path)
        }
    }

    private func page(of frame: Frame) throws(FileSystemError) -> [DirectoryEntry] {
        do throws(FileSystemError) {
            return try source.readDirectory(
                frame.source,
                after: frame.cookie,
                limit: Self.pageMax
            )
        } catch {
            try note(error, at: frame.path)
            return []
        }
    }

    /// Goes on after what concerns one entry only.
    private func note(_ error: FileSystemError, at path: String) throws(FileSystemError) {
        switch error.code {
        case .notFound where isLive:
            // Removed meanwhile, as `frames` may have been too.
            return
        case .noSpace, .unavailable, .closed, .inputOutput, .wouldWait: throw error
        default: break
        }
        outcome.failed += 1
        guard outcome.failures.count < Self.failuresMax else { return }
        outcome.failures.append(Failure(path: path, reason: error.message))
    }

    private func clone(
        _ ino: InodeNumber,
        as name: EntryName,
        in parent: InodeNumber,
        path: String
    ) throws(FileSystemError) {
        if let known = linked[ino], let attributes = try link(known, as: name, in: parent) {
            outcome.others += 1
            return onMade(Made(name: name, parent: parent, attributes: attributes))
        }
        let before = try source.clonable(ino).attributes
        let made = try engine.clone(ino, of: source, named: name, in: parent, owner: owner)
        if root == nil { root = made.ino }
        switch made.kind {
        case .directory:
            outcome.directories += 1
            frames.append(Frame(source: ino, made: made, path: path))
        case .regular:
            outcome.files += 1
            outcome.bytes += made.size
        default: outcome.others += 1
        }
        if made.kind != .directory, before.linkCount > 1, linked.count < Self.linkedMax {
            linked[ino] = made.ino
        }
        onMade(Made(name: name, parent: parent, attributes: made))
    }

    /// Gives a clone another name; `nil` if it was removed meanwhile.
    private func link(
        _ ino: InodeNumber,
        as name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes? {
        do throws(FileSystemError) {
            return try engine.link(ino, as: name, in: parent)
        } catch {
            guard error.code == .notFound, try engine.metadata.isDirectory(parent) else {
                throw error
            }
            return nil
        }
    }

    /// Gives a directory the times of its source, now that nothing is added to it any more.
    private func finish(_ frame: Frame) throws(FileSystemError) {
        var times = AttributeChange()
        times.accessed = frame.made.accessed
        times.modified = frame.made.modified
        do throws(FileSystemError) {
            _ = try engine.metadata.setAttributes(times, of: frame.made.ino, now: engine.now())
        } catch {
            try note(error, at: frame.path)
        }
        onFilled(frame.made.ino)
    }
}

extension MetadataStore {
    /// Whether the directory is still there.
    fileprivate func isDirectory(_ ino: InodeNumber) throws(FileSystemError) -> Bool {
        do throws(FileSystemError) {
            let attributes = try attributes(of: ino)
            return attributes.kind == .directory && attributes.linkCount > 0
        } catch {
            guard error.code == .notFound else { throw error }
            return false
        }
    }
}
