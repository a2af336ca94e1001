package import Logging
package import Network
package import Primitives
package import Sealing
import Disk
import Metadata
import Transport

/// Proves that a volume would come back: brings it back from its network beside itself, and reads
/// files drawn at random.
///
/// Asks as the volume's owner and changes nothing, at keepers or providers or here. Heads that are
/// registered meanwhile may take stripes away: what cannot be read then is tried again with the
/// newer head.
package struct RecoveryDrill: Sendable {
    /// Files drawn unless somebody says otherwise.
    package static let sampleDefault = 100
    /// Files drawn at most.
    package static let sampleMax = 100_000
    /// Plain bytes of files read at most; files that are drawn after are left out.
    package static let bytesMax: UInt64 = 256 << 20
    /// Blocks read of one file, from a random one on: 16 MiB.
    static let blocksMax: UInt64 = 16
    /// Heads tried, each newer than the one before.
    private static let headsMax = 3

    private let volume: VolumeID
    private let owner: NodeID
    private let key: VolumeKey
    private let network: TalliedNetwork
    private let logger: Logger

    package init(
        of volume: VolumeID,
        owner: NodeID,
        key: VolumeKey,
        network: any StorageNetwork,
        logger: Logger
    ) {
        self.volume = volume
        self.owner = owner
        self.key = key
        self.network = TalliedNetwork(network)
        self.logger = logger
    }

    /// How far a drill is.
    package enum Progress: Sendable {
        /// Bytes of metadata read so far and in all.
        case metadata(done: UInt64, total: UInt64)
        /// Files read so far and in all, and their bytes.
        case files(done: Int, total: Int, bytes: UInt64)
    }

    /// Brings the volume back in `directory`, which is there and empty, and reads up to `sample`
    /// files, comparing them with `live` where that was not changed.
    ///
    /// `began`: since when it takes, by the monotonic clock.
    ///
    /// - Throws: `unavailable` if no keeper has a head or too few providers answer for the
    ///   metadata, `corrupt` if it is not what was placed.
    package func run(
        in directory: String,
        sample: Int = sampleDefault,
        live: (any LiveTree)?,
        since began: Duration = Clock.monotonic(),
        progress: (Progress) -> Void
    ) throws(FileSystemError) -> DrillReport {
        func seconds() -> Double { (Clock.monotonic() - began) / .seconds(1) }
        var (restored, report) = try restore(in: directory, progress)
        report.metadataSeconds = seconds()
        report.newestChange = try restored.metadata.newestChange()
        var samples = try restored.metadata.sampleFiles(min(sample, Self.sampleMax))
        var files = DrillFiles(restored, live: live)
        let total = samples.count
        for round in 1...Self.headsMax {
            var failed: [MetadataSnapshot.Sample] = []
            files.unreadable = []
            for sample in samples where files.bytesRead < Self.bytesMax {
                if !files.examine(sample) { failed.append(sample) }
                if report.firstFileSeconds == nil, files.read > 0 {
                    report.firstFileSeconds = seconds()
                }
                progress(.files(done: files.done, total: total, bytes: files.bytesRead))
            }
            guard !failed.isEmpty, round < Self.headsMax, let newer = newer(than: report.version)
            else { break }
            (restored, _) = try restore(newer, in: directory, { _ in })
            files.goOn(with: restored)
            samples = failed
        }
        files.fill(&report)
        report.providers = network.failed.map { provider, failures in
            DrillReport.ProviderFailure(
                provider: provider,
                count: failures.count,
                reason: failures.reason
            )
        }.sorted { $0.provider.hex < $1.provider.hex }
        return report
    }

    // MARK: Heads

    private func restore(
        in directory: String,
        _ progress: (Progress) -> Void
    ) throws(FileSystemError) -> (RestoredVolume, DrillReport) {
        let survey = HeadRegister.newest(of: volume, owner: owner, at: network)
        guard let head = survey.newest else {
            throw FileSystemError(
                .unavailable,
                "no keeper has a head of volume \(volume.short): it was never mounted long enough"
                    + " to have one, or its keepers are out of reach"
            )
        }
        let (restored, plan) = try restore(head, in: directory, progress)
        var report = DrillReport(
            survey: survey,
            version: plan.version,
            headTime: plan.time,
            metadataBytes: plan.bytes
        )
        report.behindFiles = restored.behind.count
        report.isBehindCut = restored.isBehindCut
        return (restored, report)
    }

    private func restore(
        _ head: VolumeHead,
        in directory: String,
        _ progress: (Progress) -> Void
    ) throws(FileSystemError) -> (RestoredVolume, VolumeRecovery.Plan) {
        let recovery = VolumeRecovery(key: key, network: network, logger: logger)
        let plan = try recovery.plan(head)
        let path = "\(directory)/\(plan.version).db"
        _ = try recovery.restore(plan, to: path) { done, total in
            progress(.metadata(done: done, total: total))
        }
        let restored = RestoredVolume(
            metadata: try MetadataSnapshot(opening: path),
            key: key,
            reader: StripeReader(
                network: network,
                key: key,
                meters: Meters(),
                custody: nil,
                logger: logger
            ),
            behind: plan.behind,
            isBehindCut: plan.isBehindCut
        )
        return (restored, plan)
    }

    private func newer(than version: UInt64) -> VolumeHead? {
        let newest = HeadRegister.newest(of: volume, owner: owner, at: network).newest
        return newest.flatMap { $0.version > version ? $0 : nil }
    }
}
