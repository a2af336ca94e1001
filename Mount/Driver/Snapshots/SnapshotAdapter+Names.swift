package import FUSE
package import Primitives
import Glibc
import Volume

extension SnapshotAdapter {
    /// The name of the directory in the root that holds what a volume tells of itself.
    static let hiddenName = Array(".mefs".utf8)
    static let listName = Array("snapshots".utf8)
    private static let dot = [UInt8(ascii: ".")]
    private static let dotDot = [UInt8(ascii: "."), UInt8(ascii: ".")]
    /// Seconds for which the kernel may trust that a snapshot is there: as old as our own list.
    private static let listedSeconds = SnapshotTrees.listAge / .seconds(1)
    /// Directories that no volume has may be looked at by everybody whom the root lets pass.
    private static let directoryMode: UInt16 = 0o555

    // MARK: Lookup

    package func lookup(
        _ request: consuming Request,
        name: [UInt8],
        in parent: InodeNumber
    ) {
        if case .live = root {
            switch SnapshotInode(parent) {
            case .hidden?: return lookupHidden(request, name)
            case .list?: return lookupListed(request, name)
            default: break
            }
        }
        let caller = request.caller
        serve(request, of: parent) { [self] wait throws(FileSystemError) in
            try find(name, in: parent, caller, wait)
        } reply: { request, found in
            switch found {
            case .entry(let attributes, let trust):
                _ = request.reply(entry: attributes, trust: trust)
            case .nothing: request.replyNoEntry()
            }
        }
    }

    /// What a name leads to.
    private enum Found: Sendable {
        case entry(Attributes, EntryTrust)
        /// Nothing, for ever.
        case nothing
    }

    private func find(
        _ name: [UInt8],
        in parent: InodeNumber,
        _ caller: Caller,
        _ wait: Wait
    ) throws(FileSystemError) -> Found {
        let place = try place(parent, wait)
        if place.isRoot, name == Self.dotDot, place.number > 0 {
            return .entry(listAttributes(.list), Self.listedTrust)
        }
        try check(caller, may: 1, at: place)
        do throws(FileSystemError) {
            return .entry(try place.shown(try find(name, at: place)), place.trust)
        } catch {
            guard error.code == .notFound else { throw error }
            // By a handle the kernel asks for the inode itself.
            guard name != Self.dot, name != Self.dotDot else {
                throw FileSystemError(.stale, error.message)
            }
            return .nothing
        }
    }

    private func find(_ name: [UInt8], at place: Place) throws(FileSystemError) -> Attributes {
        if name == Self.dot { return try place.tree.attributes(of: place.ino) }
        if name == Self.dotDot {
            return try place.tree.attributes(of: try place.tree.parent(of: place.ino))
        }
        return try place.tree.lookup(try entryName(name), in: place.ino)
    }

    private func lookupHidden(_ request: consuming Request, _ name: [UInt8]) {
        switch name {
        case Self.dot: reply(request, directory: .hidden)
        case Self.listName: reply(request, directory: .list)
        default: request.replyNoEntry()
        }
    }

    /// Answers with one of the directories above the snapshots.
    func reply(_ request: consuming Request, directory: SnapshotInode) {
        _ = request.reply(entry: listAttributes(directory), trust: Self.listedTrust)
    }

    private static let listedTrust = EntryTrust(attributeSeconds: 0)

    private func lookupListed(_ request: consuming Request, _ name: [UInt8]) {
        if name == Self.dot { return reply(request, directory: .list) }
        if name == Self.dotDot { return reply(request, directory: .hidden) }
        serve(request, of: SnapshotInode.list.number) { [self] wait throws(FileSystemError) in
            try findListed(String(decoding: name, as: UTF8.self), wait)
        } reply: { request, found in
            // That there is none is not remembered: it may be made.
            guard case .entry(let attributes, let trust) = found else {
                return request.fail(ENOENT)
            }
            _ = request.reply(entry: attributes, trust: trust)
        }
    }

    private func findListed(_ name: String, _ wait: Wait) throws(FileSystemError) -> Found {
        guard let snapshot = try trees.snapshots(wait: wait).entry(name) else { return .nothing }
        let (attributes, isKnown) = try rootAttributes(of: snapshot)
        return .entry(
            attributes,
            EntryTrust(
                nameSeconds: Self.listedSeconds,
                attributeSeconds: isKnown ? Self.listedSeconds : 0,
                generation: UInt32(truncatingIfNeeded: snapshot.version)
            )
        )
    }

    package func forget(_ ino: InodeNumber, count: UInt64) {}

    // MARK: Attributes

    /// What `stat(2)` tells of `.mefs` and `.mefs/snapshots`.
    private func listAttributes(_ directory: SnapshotInode) -> Attributes {
        let changed = directory == .list ? trees.listChanged : begun
        return Attributes(
            ino: directory.number,
            kind: .directory,
            mode: Self.directoryMode,
            uid: 0,
            gid: 0,
            linkCount: 2,
            size: 0,
            blocks512: 0,
            rdev: 0,
            accessed: changed,
            modified: changed,
            changed: changed
        )
    }

    /// What `stat(2)` tells of a snapshot's root, and whether that is the truth.
    ///
    /// A tree is not opened for this, since whoever lists the snapshots asks for all of them: until
    /// somebody has looked into it, owner and mode are those of the live root, and the times those
    /// of the snapshot. Who looks into it is checked then (`check`); what the kernel knows of names
    /// in it, it was told after that.
    private func rootAttributes(
        of snapshot: SnapshotInfo
    ) throws(FileSystemError) -> (Attributes, isKnown: Bool) {
        let number = try numbers.number(of: snapshot.version)
        let ino = SnapshotInode.inode(number, .root).number
        if let known = trees.rootAttributes(of: snapshot.version) {
            return (known.renumbered(ino), true)
        }
        var attributes = try engine.attributes(of: .root).renumbered(ino)
        attributes.accessed = snapshot.time
        attributes.modified = snapshot.time
        attributes.changed = snapshot.time
        return (attributes, false)
    }

    package func getAttributes(_ request: consuming Request, of ino: InodeNumber) {
        if case .live = root {
            switch SnapshotInode(ino) {
            case .hidden?: return request.reply(attributes: listAttributes(.hidden))
            case .list?: return getListAttributes(request)
            case .inode(_, .root)?: return getRootAttributes(request, ino)
            default: break
            }
        }
        serve(request, of: ino) { [self] wait throws(FileSystemError) in
            let place = try place(ino, wait)
            return try stale { () throws(FileSystemError) in
                try place.shown(try place.tree.attributes(of: place.ino))
            }
        } reply: { request, attributes in
            request.reply(attributes: attributes)
        }
    }

    /// Looks at the list first, so that its time tells the kernel whether to list it anew.
    private func getListAttributes(_ request: consuming Request) {
        serve(request, of: SnapshotInode.list.number) { [self] wait throws(FileSystemError) in
            _ = try trees.snapshots(wait: wait)
        } reply: { [self] request, _ in
            request.reply(attributes: listAttributes(.list), mayChange: true)
        }
    }

    private func getRootAttributes(_ request: consuming Request, _ ino: InodeNumber) {
        serve(request, of: ino) { [self] wait throws(FileSystemError) in
            let version = try snapshot(of: ino).version
            let all = try trees.snapshots(wait: wait)
            guard let snapshot = all.first(where: { $0.version == version }) else {
                throw FileSystemError(.stale, "snapshot \(version) is deleted")
            }
            return try rootAttributes(of: snapshot).0
        } reply: { request, attributes in
            request.reply(attributes: attributes, mayChange: true)
        }
    }

    /// Turns what is missing into what was given up: the kernel knew it by a number.
    func stale<Answer>(
        _ body: () throws(FileSystemError) -> Answer
    ) throws(FileSystemError) -> Answer {
        do throws(FileSystemError) {
            return try body()
        } catch {
            throw error.code == .notFound ? FileSystemError(.stale, error.message) : error
        }
    }

    /// Refuses a caller to whom the root of the tree does not allow what `needed` has: 1 to look up
    /// names, 4 to list them.
    ///
    /// The kernel may have decided by the mode of the live root, which it was told while the tree
    /// was not open. An access list counts here as letting in nobody but the owner.
    func check(
        _ caller: Caller,
        may needed: UInt16,
        at place: Place
    ) throws(FileSystemError) {
        guard place.isRoot, place.number > 0 else { return }
        let attributes = try place.tree.attributes(of: .root)
        let mode = attributes.mode
        if [mode, mode >> 3, mode >> 6].allSatisfy({ $0 & needed == needed }) { return }
        let isOwner = caller.uid == attributes.uid
        let bits = isOwner ? mode >> 6 : caller.isMember(of: attributes.gid) ? mode >> 3 : mode
        if bits & needed == needed {
            if isOwner { return }
            if try place.tree.extendedAttributes(of: .root).isEmpty { return }
        }
        guard caller.has(.dacReadSearch) else {
            throw FileSystemError(.accessDenied, "the root of the snapshot is closed to this user")
        }
    }
}
