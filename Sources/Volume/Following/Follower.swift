import Disk
package import Logging
package import Metadata
import Network
package import Primitives
import Sealing
import Synchronization

/// Shows a volume as its writer on another machine makes it: asks keepers for the newest head,
/// makes its tree, and puts that in the place of the one before.
///
/// Until there is a head that this machine has not made, or had, there is no tree: what this
/// machine has is the newest. Nothing is written to keepers or providers.
package final class Follower: Sendable {
    /// How often keepers are asked, and by how much that varies, so that machines that were started
    /// together do not ask together.
    package static let interval: Duration = .seconds(10)
    private static let jitterMilliseconds = -2000...2000
    /// Between two looks that failing reads cause.
    private static let pauseMin: Duration = .seconds(1)
    /// The longest that a read waits for such a look.
    private static let patience: Duration = .seconds(15)
    /// Heads that are tried one after the other, if each goes while it is read.
    private static let headsMax = 3

    private struct State {
        var isStopping = false
        /// Looks that were asked for, and those that have ended.
        var asked: UInt64 = 0
        var answered: UInt64 = 0
        /// When a keeper answered last, and when the last look ended.
        var heard: Duration?
        var looked: Duration?
        var trouble: FileSystemError?
        var writer: String?
        /// Whether the kernel is being told of a change: it waits for pages that are being read.
        var isTelling = false
        /// When what is shown was last changed.
        var shown: Duration?
    }

    package let trees: FollowedTrees
    private let engine: VolumeEngine
    private let directory: String
    private let markPath: String
    private let owner: NodeID
    private let logger: Logger
    private let loader: FollowedHeadLoader
    private let state = Condition(State())
    private let followed = Mutex<FollowedHead?>(nil)
    private let mark: Mutex<HeadMark?>
    private let thread = Mutex<Thread?>(nil)
    /// Called after each change with the inodes that are not as before; `nil` for any.
    private let onChange = Mutex<(@Sendable (Set<InodeNumber>?) -> Void)?>(nil)

    /// Asks nobody yet.
    ///
    /// `directory`: for the databases of trees; whatever is in it is removed now. `markPath`: the
    /// file that keeps which head was followed last, over mounts.
    ///
    /// - Throws: what keeps the directory from being made, `invalid` of a volume without heads.
    package init(
        _ engine: VolumeEngine,
        directory: String,
        markPath: String,
        logger: Logger
    ) throws(FileSystemError) {
        guard let settings = engine.configuration.checkpoints else {
            throw FileSystemError(.invalid, "the volume has no heads that could be followed")
        }
        self.engine = engine
        self.directory = directory
        self.markPath = markPath
        self.logger = logger
        owner = settings.owner.publicKey.nodeID
        trees = FollowedTrees(logger: logger)
        loader = FollowedHeadLoader(engine: engine, directory: directory)
        try FollowedHeadLoader.onDisk { () throws(DiskError) in
            try Directory.remove(tree: directory)
            try Directory.make(directory, durably: false)
        }
        mark = Mutex(Self.savedMark(markPath))
    }

    // MARK: Life

    /// Looks once, then goes on looking on a thread of its own.
    package func start() throws(FileSystemError) {
        look()
        do throws(DiskError) {
            let started = try Thread.spawn("follow") { [self] in run() }
            thread.withLock { $0 = started }
        } catch {
            throw FileSystemError(error)
        }
    }

    /// Ends the thread and removes the trees' databases.
    package func stop() {
        state.update { $0.isStopping = true }
        thread.withLock { $0 }?.join()
        do throws(DiskError) {
            try Directory.remove(tree: directory)
        } catch {
            logger.warning("\(directory) stays until the next mount: \(error)")
        }
    }

    /// Has `body` called after each change, on the follower's thread.
    package func onChange(_ body: @escaping @Sendable (Set<InodeNumber>?) -> Void) {
        onChange.withLock { $0 = body }
    }

    private func run() {
        while true {
            let pause = Self.interval + .milliseconds(Int.random(in: Self.jitterMilliseconds))
            let next = state.wait(for: pause) { state -> Bool? in
                state.isStopping ? false : state.asked > state.answered ? true : nil
            }
            if next == false { return }
            look()
        }
    }

    // MARK: Asking

    /// Looks for a newer head at once, and waits until it is shown, or why it is not is known.
    ///
    /// - Throws: `unavailable` if no keeper answers or too few providers, `corrupt` if the head is
    ///   refused.
    package func refresh() throws(FileSystemError) {
        if !waitForLook(.seconds(60)) {
            throw FileSystemError(.unavailable, "keepers and providers take long to answer")
        }
        if let trouble = state.withLock({ $0.trouble }) {
            throw trouble
        }
    }

    /// Looks for a newer head since a read of `tree` has failed: its writer may have let go of what
    /// the tree names.
    ///
    /// - Returns: whether there is another tree to read now.
    package func lookAgain(after tree: SnapshotTree) -> Bool {
        if trees.current !== tree { return true }
        let now = Clock.monotonic()
        let isFresh = state.withLock { $0.looked.map { now - $0 < Self.pauseMin } ?? false }
        if !isFresh { _ = waitForLook(Self.patience, whileShown: tree) }
        return trees.current !== tree
    }

    /// Of who reads `tree` it ends early when another tree was just shown: the kernel drops pages
    /// then, and waits for those that are being read.
    ///
    /// - Returns: whether that is so, or a look that began after the call has ended in time.
    private func waitForLook(
        _ patience: Duration,
        whileShown tree: SnapshotTree? = nil
    ) -> Bool {
        let number = state.update { state in
            state.asked += 1
            return state.asked
        }
        return state.wait(for: patience) { state in
            let mustGoOn = tree.map { $0 !== trees.current || state.isTelling } ?? false
            return state.answered >= number || state.isStopping || mustGoOn ? true : nil
        } ?? false
    }

    /// Asks keepers, and shows what is newer.
    private func look() {
        let asked = state.withLock { $0.asked }
        var trouble: FileSystemError?
        var failed: VolumeHead?
        var hasAnswers = false
        for _ in 1...Self.headsMax {
            let survey = HeadRegister.newest(
                of: engine.configuration.id,
                owner: owner,
                at: engine.network
            )
            hasAnswers = survey.hasAnswers
            if hasAnswers { state.update { $0.heard = Clock.monotonic() } }
            // What the head names may have been let go of for a newer one, which then is there.
            guard failed == nil || survey.newest != failed else { break }
            do throws(FileSystemError) {
                try follow(survey)
                trouble = nil
                break
            } catch {
                trouble = error
                failed = survey.newest
                guard failed != nil, !state.withLock({ $0.isStopping }) else { break }
            }
        }
        let writer =
            hasAnswers
            ? WriterLease.holderLabel(of: engine.configuration.id, at: engine.network) : nil
        let isNews = state.update { state in
            let isNews = state.trouble?.message != trouble?.message
            state.trouble = trouble
            if let writer { state.writer = writer }
            state.answered = asked
            state.looked = Clock.monotonic()
            return isNews
        }
        if isNews, let trouble { logger.warning("following: \(trouble.message)") }
        if isNews, trouble == nil { logger.notice("following goes on") }
    }

    /// Shows the newest head of what keepers said, if that is another than what is shown.
    ///
    /// - Throws: `corrupt` if keepers went back or the volume has two histories, `unavailable` if
    ///   nobody answered; what keeps the head from being read.
    private func follow(_ survey: HeadSurvey) throws(FileSystemError) {
        guard survey.hasAnswers || engine.network.keeperIDs.isEmpty else {
            throw FileSystemError(.unavailable, "no keeper answers")
        }
        if let mark = mark.withLock({ $0 }) {
            switch mark.judge(survey) {
            case .same:
                guard followed.withLock({ $0 }) == nil, let newest = survey.newest else { return }
                try showUnlessOwn(newest, survey)
            case .newer(let head): try showUnlessOwn(head, survey)
            case .rolledBack: throw Self.rolledBack(behind: mark.version, survey)
            case .forked: throw Self.forked
            case .unknown: return
            }
        } else if let newest = survey.newest {
            guard !survey.isForked else { throw Self.forked }
            try showUnlessOwn(newest, survey)
        } else {
            _ = try isOwn(nil, survey)
        }
    }

    private func showUnlessOwn(
        _ head: VolumeHead,
        _ survey: HeadSurvey
    ) throws(FileSystemError) {
        let previous = followed.withLock { $0 }
        if previous == nil, try isOwn(head, survey) { return note(HeadMark(head)) }
        let made = try loader.load(head, after: previous)
        followed.withLock { $0 = made }
        trees.replace(with: made.tree)
        // Reads that failed go on with it.
        state.update { $0.isTelling = true }
        note(made.mark)
        let tell = onChange.withLock { $0 }
        tell?(made.changed)
        state.update { state in
            state.isTelling = false
            state.shown = Clock.monotonic()
        }
        logger.info("head \(head.version) of term \(head.term) is shown")
    }

    /// Whether what this machine has itself is as new as what keepers have.
    private func isOwn(_ head: VolumeHead?, _ survey: HeadSurvey) throws(FileSystemError) -> Bool {
        switch try engine.compare(with: head) {
        case .same: return true
        case .newer: return false
        case .rolledBack(let seen): throw Self.rolledBack(behind: seen, survey)
        }
    }

    private static func rolledBack(
        behind version: UInt64,
        _ survey: HeadSurvey
    ) -> FileSystemError {
        let found = survey.newest.map { "head \($0.version) is the newest" } ?? "there is no head"
        return FileSystemError(
            .corrupt,
            "keepers have gone back behind head \(version), which this machine has seen: \(found);"
                + " what was shown stays"
        )
    }

    private static let forked = FileSystemError(
        .corrupt,
        "keepers have two heads of one writer that do not go on from each other: the volume has two"
            + " histories; what was shown stays"
    )

    // MARK: The mark

    private func note(_ newest: HeadMark) {
        let isNew = mark.withLock { mark in
            defer { mark = newest }
            return mark != newest
        }
        guard isNew else { return }
        do throws(DiskError) {
            try WholeFile.replace(markPath, with: Array(newest.text.utf8))
        } catch {
            logger.warning("the next mount will not know which head was followed: \(error)")
        }
    }

    private static func savedMark(_ path: String) -> HeadMark? {
        guard WholeFile.exists(path),
            let bytes = try? WholeFile.read(path, limit: HeadMark.textBytesMax)
        else { return nil }
        return HeadMark(parsing: String(decoding: bytes, as: UTF8.self))
    }

    // MARK: What is known

    /// How long ago what is shown was last changed; `nil` if it never was.
    package var shownAge: Duration? {
        state.withLock { $0.shown }.map { Clock.monotonic() - $0 }
    }

    /// What `mefs status` tells of it.
    package struct Status: Sendable {
        /// The head that is shown, and when it was made; `nil` as long as this machine's own state
        /// is.
        package let version: UInt64?
        package let time: Timestamp?
        /// Blocks of which that head has an older version or none.
        package let behindBlocks: Int
        /// What the machine is called that has the writer lease, or had it last; `nil` if unknown.
        package let writer: String?
        /// Seconds since a keeper answered; `nil` if none did.
        package let heardSeconds: Double?
        /// Why what is shown may not be the newest.
        package let trouble: String?
    }

    package var status: Status {
        let snapshot = trees.current?.snapshot
        let behindBlocks = followed.withLock { $0?.behindBlocks ?? 0 }
        let now = Clock.monotonic()
        return state.withLock { state in
            Status(
                version: snapshot?.version,
                time: snapshot?.time,
                behindBlocks: behindBlocks,
                writer: state.writer,
                heardSeconds: state.heard.map { (now - $0) / .seconds(1) },
                trouble: state.trouble?.message
            )
        }
    }
}

/// The snapshots of a followed volume: those that the head that is shown tells of.
package struct FollowedSnapshots: SnapshotSource, SnapshotKeeping {
    private let trees: FollowedTrees
    private let own: KeptHeads

    /// `own` answers as long as this machine's own state is shown.
    package init(_ follower: Follower, own: KeptHeads) {
        trees = follower.trees
        self.own = own
    }

    private var source: any SnapshotSource { trees.current?.source ?? own }

    /// The kept heads that the head that is shown tells of, oldest first.
    package func snapshots() throws(FileSystemError) -> [SnapshotInfo] { try source.snapshots() }

    /// Makes the metadata database of a kept head in a directory of its own.
    package func materialize(
        _ version: UInt64,
        in directory: String
    ) throws(FileSystemError) -> String {
        try source.materialize(version, in: directory)
    }

    /// The stripe as the head that is shown tells of it.
    package func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        try source.stripe(id)
    }

    /// Fails: heads are kept where the volume is written.
    package func create(
        name: String,
        lockSeconds: Int64?
    ) throws(FileSystemError) -> SnapshotInfo {
        throw Self.readOnly
    }

    /// Fails, as `create`.
    package func delete(_ version: UInt64) throws(FileSystemError) { throw Self.readOnly }

    /// The policy as this machine knew it last.
    package func policy() throws(FileSystemError) -> SnapshotPolicy { try own.policy() }

    /// Fails, as `create`.
    package func setPolicy(_ policy: SnapshotPolicy) throws(FileSystemError) { throw Self.readOnly }

    private static let readOnly = FileSystemError(
        .notPermitted,
        "the volume is mounted to be read here; make and delete snapshots where it is written"
    )
}
