import Control
import Disk
import FUSE
import Glibc
import Home
import Logging
import Metadata
import Primitives
import Sealing
import Volume

/// The process behind a mounted volume, from the start to the end of everything.
final class MountProcess: Sendable {
    /// For the session's threads to end once the mount was taken away: a copy of it may live on
    /// in another mount namespace.
    private static let endTimeout = Duration.seconds(5)

    private struct State {
        var phase = VolumeStatus.State.mounted
        /// Threads that serve the kernel.
        var serving = 0
        /// The kernel has agreed on the protocol.
        var isStarted = false
        /// The mount was taken away, and what still serves is not waited for.
        var isAbandoned = false
        /// Whether what is dirty was placed, or given up, before the unmount.
        var isDrained = false
        /// The placing that goes on after the unmount.
        var placing: PlacingJob?
    }

    private let options: MountOptions
    let mountPoint: MountPoint
    let opening: VolumeOpening
    let adapter: FileSystemAdapter
    /// What shows the volume as another machine makes it; `nil` unless it is mounted to be read.
    let follow: FollowAdapter?
    /// What shows snapshots; `nil` if the volume keeps none.
    let snapshots: SnapshotAdapter?
    let kernelMount: KernelMount
    let session: Session
    private let logger: Logger
    private let state: Condition<State>

    var engine: VolumeEngine { opening.engine }
    var isReadOnly: Bool { options.isReadOnly }
    var phase: VolumeStatus.State { state.withLock { $0.phase } }

    /// Mounts; nothing is answered before `run`.
    private init(
        _ options: MountOptions,
        mountPoint: MountPoint,
        opening: VolumeOpening,
        logger: Logger
    ) throws(ControlFailure) {
        self.options = options
        self.mountPoint = mountPoint
        self.opening = opening
        self.logger = logger
        let state = Condition(State())
        self.state = state
        let onStart: @Sendable () -> Void = { state.update { $0.isStarted = true } }
        do throws(DiskError) {
            let adapter = try FileSystemAdapter(
                opening.engine,
                controlPath: opening.directory.controlSocketPath,
                accessTimes: options.isReadOnly ? .never : options.accessTimes,
                directoryAccessTimes: options.isReadOnly || options.keepsDirectoryTimes
                    ? .never : options.accessTimes,
                logger: logger,
                onStart: onStart
            )
            self.adapter = adapter
            follow = try opening.follower.map { follower throws(DiskError) in
                try FollowAdapter(follower, live: adapter, logger: logger)
            }
        } catch {
            throw ControlFailure(error)
        }
        let shown = try ShownTrees(
            opening,
            live: follow ?? adapter,
            options,
            logger,
            onStart: onStart
        )
        snapshots = shown.snapshots
        do throws(Session.Failure) {
            session = try Session(
                shown.operations,
                options: options.session(of: opening.directory.name)
            )
            try session.mount(at: mountPoint.path)
        } catch {
            throw ControlFailure(.failed, error.description)
        }
        adapter.attach(session)
        follow?.attach(session)
        kernelMount = KernelMount(session, at: mountPoint.path, logger: logger)
        opening.writer?.onLoss { [adapter] in adapter.freeze() }
    }

    /// Mounts the volume and serves it until it is unmounted and drained.
    ///
    /// `signals` end the process; they were blocked before any thread was started.
    ///
    /// - Throws: what kept it from mounting.
    static func run(
        _ options: MountOptions,
        passphrase: consuming Passphrase?,
        signals: SignalWaiter,
        readiness: Readiness
    ) throws(ControlFailure) {
        let mountPoint = try MountPoint(
            preparing: options.directory,
            allowsNonEmpty: options.allowsNonEmpty,
            note: readiness.note
        )
        let directory: VolumeDirectory
        do throws(HomeError) {
            directory = try VolumeOpening.directory(
                of: options.source,
                in: try Home(),
                note: readiness.note
            )
        } catch {
            throw ControlFailure(error)
        }
        let log = options.isForeground ? MountLog() : MountLog(path: directory.logPath)
        let logger = log.logger("mount.mefs", level: options.debugs ? .debug : .info)
        let opening = try VolumeOpening(
            directory,
            options: options,
            passphrase: consume passphrase,
            mountPoint: mountPoint.path,
            logger: logger,
            note: readiness.note
        )
        // The process must not keep the directory it was started in from being unmounted.
        chdir("/")
        let process: MountProcess
        let control: ControlServer
        do throws(ControlFailure) {
            process = try MountProcess(
                options,
                mountPoint: mountPoint,
                opening: opening,
                logger: logger
            )
            control = try process.startControl()
        } catch {
            logger.error("\(error.message)")
            opening.close(logger: logger)
            throw error
        }
        try process.serve(signals, mounted: readiness.ready)
        process.drain()
        opening.close(logger: logger)
        control.stop()
        logger.info("ended")
    }

    private func startControl() throws(ControlFailure) -> ControlServer {
        do throws(DiskError) {
            return try ControlServer(
                path: opening.directory.controlSocketPath,
                handler: MountControl(self)
            )
        } catch {
            session.unmount()
            throw ControlFailure(error)
        }
    }

    // MARK: Serving

    /// Serves the kernel until the mount is gone; calls `mounted` once the mount answers.
    ///
    /// - Throws: what keeps a thread from being started.
    private func serve(
        _ signals: SignalWaiter,
        mounted: () -> Void
    ) throws(ControlFailure) {
        do throws(DiskError) {
            try startThreads(signals)
        } catch {
            session.unmount()
            throw ControlFailure(error)
        }
        if state.wait(until: { $0.isStarted ? true : $0.serving == 0 ? false : nil }) {
            kernelMount.widenReadAhead()
            if !options.skipsUserTable { kernelMount.enterUserTable() }
            logger.info("mounted volume \(opening.directory.name) at \(mountPoint.path)")
            mounted()
            CodePages.release()
        }
        _ = state.wait { $0.serving == 0 || $0.isAbandoned ? true : nil }
        let isOver = state.update { state in
            state.phase = .draining
            return state.serving == 0
        }
        if isOver {
            follow?.close()
            adapter.close()
            snapshots?.close()
            // Only tidies up: the connection has ended. A mount that lives on elsewhere is not
            // at this path any more, and something else may be.
            session.unmount()
        }
        logger.info("unmounted \(mountPoint.path)")
    }

    private func startThreads(_ signals: SignalWaiter) throws(DiskError) {
        for index in 0..<session.options.threadCount {
            state.update { $0.serving += 1 }
            try Thread.spawn("fuse-\(index)") { [self] in
                let code = session.serve()
                if code != 0 { logger.notice("the kernel ended the connection: error \(code)") }
                state.update { $0.serving -= 1 }
            }
        }
        try Thread.spawn("signals") { [self] in obey(signals) }
    }

    /// The first signal unmounts, the second gives draining up.
    private func obey(_ signals: SignalWaiter) {
        let first = signals.wait()
        logger.info("signal \(first): unmounting")
        takeAway()
        while true {
            let next = signals.wait()
            logger.info("signal \(next): draining is given up")
            hurry(seconds: 0)
        }
    }

    /// Unmounts, and has `serve` return.
    func takeAway() {
        kernelMount.takeAway()
        if waitForServing() { return }
        kernelMount.abort()
        if waitForServing() { return }
        logger.warning("the mount lives on in another mount namespace; it is left to die")
        state.update { $0.isAbandoned = true }
    }

    private func waitForServing() -> Bool {
        state.wait(for: Self.endTimeout) { $0.serving == 0 ? true : nil } ?? false
    }

    // MARK: Draining

    /// Notes that nothing more is to be placed before the process ends.
    func markDrained() { state.update { $0.isDrained = true } }

    /// Lets placing go on for at most `seconds` from now; `nil` if none is under way.
    @discardableResult
    func hurry(seconds: Double) -> PlacingJob? {
        let placing = state.update { state in
            if state.placing == nil, seconds <= 0 { state.isDrained = true }
            return state.placing
        }
        placing?.hurry(seconds: seconds)
        return placing
    }

    /// Places what is dirty, for as long as the options allow.
    private func drain() {
        // What nobody will name is not placed.
        guard opening.writer?.isLost != true, follow == nil else { return }
        do throws(FileSystemError) {
            try engine.learnWritten()
        } catch {
            logger.warning("some changes are not known yet: \(error.message)")
        }
        let dirty = engine.status().totals.dirtyBytes
        guard dirty > 0, options.drainSeconds > 0 else { return }
        let isDrained = state.withLock { $0.isDrained }
        guard !isDrained, let job = try? PlacingJob(engine, seconds: options.drainSeconds) else {
            return
        }
        logger.info("placing \(dirty) bytes, for up to \(options.drainSeconds) seconds")
        state.update { state in
            state.placing = job
            if state.isDrained { job.hurry(seconds: 0) }
        }
        switch job.watch() {
        case .placed: logger.info("everything is placed")
        case .failed(let failure): logger.warning("\(failure.message)")
        case .timedOut: logger.warning("time ran out before everything was placed")
        }
    }
}

extension MountOptions {
    /// What libfuse and the kernel get to know.
    fileprivate func session(of volume: String) -> Session.Options {
        var words = ["default_permissions", "subtype=mefs", "fsname=mefs:\(volume)"]
        words.append(isReadOnly ? "ro" : "rw")
        if allowsOthers ?? (geteuid() == 0) { words.append("allow_other") }
        // The kernel itself changes no access times of ours; it shows the options, and no more.
        if accessTimes == .never { words.append("noatime") }
        if keepsDirectoryTimes { words.append("nodiratime") }
        words.append(contentsOf: kernelOptions)
        return Session.Options(
            mountOptions: words,
            processorCount: threadCount ?? Host.processorCount(),
            // The kernel lets nobody else give it files (CAP_SYS_ADMIN).
            passesThrough: passesThrough && !follows && geteuid() == 0,
            follows: follows,
            debugs: debugs
        )
    }
}
