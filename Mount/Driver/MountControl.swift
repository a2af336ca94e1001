import Control
import Disk
import FUSE
import Glibc
import Home
import Metadata
import Network
import Primitives
import Volume

/// Answers on the control socket of a mount.
struct MountControl: ControlHandler {
    let process: MountProcess
    var engine: VolumeEngine { process.engine }

    init(_ process: MountProcess) { self.process = process }

    func status() throws(ControlFailure) -> VolumeStatus {
        let status = process.engine.status()
        var answer = VolumeStatus(
            volume: process.opening.directory.name,
            mountpoint: process.mountPoint.path,
            pid: getpid()
        )
        answer.state = process.phase
        answer.cpuSeconds = Clock.processCPUSeconds()
        answer.writer = process.opening.writer.map { "\($0.standing)" }
        answer.fill(from: status)
        if let follower = process.opening.follower { answer.fill(from: follower) }
        return answer
    }

    func sync(progress: (SyncProgress) -> Void) throws(ControlFailure) {
        guard process.follow == nil else { return try follow() }
        process.kernelMount.writeBack()
        switch try PlacingJob(process.engine).watch(progress: progress) {
        case .placed: break
        case .failed(let failure): throw failure
        case .timedOut: throw ControlFailure(.incomplete, "not everything was placed in time")
        }
    }

    /// Shows the newest head; when it returns every program sees it.
    private func follow() throws(ControlFailure) {
        guard let follower = process.opening.follower else { return }
        do throws(FileSystemError) {
            try follower.refresh()
        } catch {
            throw ControlFailure(error)
        }
        // Until then the kernel may trust names that it was told before.
        let trust = Duration.seconds(CacheTime.followingSeconds)
        if let age = follower.shownAge, age < trust { Clock.sleep(for: trust - age) }
    }

    func dropCache() throws(ControlFailure) -> UInt64 {
        process.kernelMount.writeBack()
        do throws(FileSystemError) {
            let bytes = try process.engine.dropCache()
            if process.phase == .mounted {
                process.adapter.dropKernelPages()
                process.follow?.dropKernelPages()
            }
            return bytes
        } catch {
            throw ControlFailure(error)
        }
    }

    func collectGarbage(isDryRun: Bool) throws(ControlFailure) -> GarbageReport {
        do throws(FileSystemError) {
            let use = try isDryRun ? engine.stripeUse() : engine.collectGarbage()
            let retained = try engine.retainedShards()
            return GarbageReport(
                liveBytes: use.liveBytes,
                neededBytes: use.neededBytes,
                snapshotBytes: use.snapshotBytes,
                snapshotStripes: use.snapshotStripes,
                waitingBytes: use.waitingBytes,
                waitingStripes: use.waitingStripes,
                deadShards: use.deadShards,
                retainedShards: UInt64(retained?.count ?? 0),
                retainedUntil: retained?.until?.text,
                sparseStripes: use.sparseStripes,
                sparseBytes: use.sparseBytes
            )
        } catch {
            throw ControlFailure(error)
        }
    }

    func stop(
        drainSeconds: Double,
        progress: (SyncProgress) -> Void
    ) throws(ControlFailure) -> UInt64 {
        switch process.phase {
        case .mounted:
            process.kernelMount.writeBack()
            if drainSeconds > 0, process.follow == nil {
                _ = try PlacingJob(process.engine, seconds: drainSeconds).watch(progress: progress)
            }
            process.markDrained()
            process.takeAway()
        case .draining:
            _ = process.hurry(seconds: drainSeconds)?.watch(progress: progress)
        }
        return process.engine.status().totals.dirtyBytes
    }
}

extension VolumeStatus {
    /// What is shown is not what the engine has.
    fileprivate mutating func fill(from follower: Follower) {
        let status = follower.status
        let age = status.time.map { max(0, Clock.now().seconds(since: $0)) }
        follows = Following(
            headVersion: status.version,
            headAgeSeconds: age,
            writer: status.writer,
            heardSeconds: status.heardSeconds,
            trouble: status.trouble
        )
        guard let version = status.version else { return }
        headVersion = version
        headAgeSeconds = age
        headBehindBlocks = UInt64(clamping: status.behindBlocks)
        headError = nil
        guard let statistics = try? follower.trees.current?.statistics() else { return }
        totalFiles = statistics.fileCount
        totalBytes = statistics.totalBytes
    }

    fileprivate mutating func fill(from status: EngineStatus) {
        let totals = status.totals
        dirtyBytes = totals.dirtyBytes
        dirtyFiles = UInt64(totals.dirtyFiles)
        dirtyBlocks = UInt64(totals.dirtyBlocks)
        oldestDirtyAgeSeconds = status.oldestDirtyAgeSeconds
        placingBytes = status.placingBytes
        placedBytes = totals.placedBytes
        placedFiles = totals.placedFiles
        totalFiles = totals.files
        totalBytes = totals.fileBytes
        cacheBytes = totals.residentBytes
        cacheBytesMax = status.cacheBytesMax
        if let heads = status.checkpoints {
            headVersion = heads.registered > 0 ? heads.registered : nil
            headAgeSeconds = heads.time.map { max(0, Clock.now().seconds(since: $0)) }
            headBehindBlocks = UInt64(clamping: heads.behindBlocks)
            headError = heads.trouble
        }
        providers = status.providers.map { provider in
            Provider(
                id: provider.id.hex,
                address: "\(provider.address)",
                domain: provider.domain,
                up: provider.isUp,
                usedBytes: provider.usedBytes,
                capacityBytes: provider.capacityBytes
            )
        }
        stripes = totals.stripes
        shards = totals.shards
        providersUp = providers.filter(\.up).count
        providersDown = providers.count - providersUp
        uploadBytesPerSecond = status.uploadBytesPerSecond
        downloadBytesPerSecond = status.downloadBytesPerSecond
        uploadedBytesTotal = status.uploadedBytes
        downloadedBytesTotal = status.downloadedBytes
        passthroughOpenings = UInt64(clamping: status.passthroughOpenings)
        passthroughOpeningsTotal = status.passthroughOpeningsTotal
        lastError = status.lastError
        shardErrors = status.shardErrors
        lastCheck = status.lastCheck?.text
        checkFindings = status.lastCheck?.findings
        delegatedTo = status.delegatedTo.map(\.short)
        if let custody = status.custody { fill(from: custody, at: Clock.now()) }
        auditError = auditError ?? status.delegationError
    }
}
