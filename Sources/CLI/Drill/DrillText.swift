import Control
import Disk
import Network
import Primitives
import Volume

/// What a drill found, for people and for programs.
struct DrillText {
    /// Paths printed of each kind; JSON has all.
    private static let pathsMax = 20

    private let report: DrillReport
    private let volume: String
    private let mountPoint: String?
    private let changes: MountedTree.Changes?
    private let ageSeconds: Double

    init(
        _ report: DrillReport,
        volume: String,
        _ mountPoint: String?,
        _ changes: MountedTree.Changes?
    ) {
        self.report = report
        self.volume = volume
        self.mountPoint = mountPoint
        self.changes = changes
        ageSeconds = max(0, Self.seconds(from: report.headTime, to: Clock.now()))
    }

    private static func seconds(from start: Timestamp, to end: Timestamp) -> Double {
        Double(end.seconds - start.seconds)
            + (Double(end.nanoseconds) - Double(start.nanoseconds)) / 1e9
    }

    /// How much later than the head the newest change is that it has not.
    private var lostSeconds: Double? {
        changes.map { changes in
            changes.count == 0
                ? 0 : max(0, Self.seconds(from: report.headTime, to: changes.newest))
        }
    }

    /// - Throws: what makes the exit code, if not all came back: `corrupt` if any bytes are wrong,
    ///   else `unreachable`.
    func verdict() throws {
        guard !report.isRight else { return }
        let failures = report.different + report.unreadable
        let isWrong = failures.contains { $0.error.code == .corrupt }
        throw ControlFailure(
            isWrong ? .corrupt : .unreachable,
            "\(failures.count) of \(report.sampled) files of volume '\(volume)' did not come back"
        )
    }

    // MARK: For people

    func print() {
        for (keeper, finding) in report.survey.findings where finding != .current {
            Output.line("keeper \(keeper.short) \(finding)")
        }
        for provider in report.providers {
            Output.line(
                "provider \(provider.provider.short) failed \(provider.count) reads:"
                    + " \(provider.reason)"
            )
        }
        for message in report.wrongShards { Output.line(message) }
        let first = report.firstFileSeconds.map { Readable.decimal($0, digits: 2) + " s" } ?? "-"
        var rows = [
            ["volume", volume],
            ["head", "\(report.version), made \(Readable.seconds(ageSeconds)) ago"],
            [
                "keepers",
                "\(report.survey.current) of \(report.survey.findings.count) have it",
            ],
            [
                "names back after",
                "\(Readable.decimal(report.metadataSeconds, digits: 2)) s,"
                    + " \(Readable.bytes(report.metadataBytes))",
            ],
            ["first file after", first],
            [
                "behind the head",
                "\(report.behindFiles)\(report.isBehindCut ? " or more" : "") files whose newest"
                    + " bytes were not placed",
            ],
        ]
        if let changes, let lostSeconds {
            rows.append([
                "changed since",
                "\(changes.count)\(changes.isCut ? " or more" : "") entries, up to"
                    + " \(Readable.decimal(lostSeconds, digits: 1)) s after the head",
            ])
        }
        rows += [
            ["files drawn", "\(report.sampled), \(Readable.bytes(report.bytesRead)) read"],
            ["equal", "\(report.equal)"],
        ]
        for (name, count) in [
            ("read, not compared", report.checked), ("read, changed since", report.changed),
            ("read, behind", report.behind), ("different", report.different.count),
            ("unreadable", report.unreadable.count),
        ] where count > 0 {
            rows.append([name, "\(count)"])
        }
        Output.table(rows)
        for failure in (report.different + report.unreadable).prefix(Self.pathsMax) {
            Output.line("\(failure.path): \(failure.error.message)")
        }
        if report.isRight { Output.line("volume '\(volume)' would come back") }
    }

    // MARK: For programs

    var json: DrillJSON {
        DrillJSON(
            volume: volume,
            mountpoint: mountPoint,
            comesBack: report.isRight,
            version: report.version,
            headTime: report.headTime.text,
            headAgeSeconds: ageSeconds,
            metadataSeconds: report.metadataSeconds,
            firstFileSeconds: report.firstFileSeconds,
            metadataBytes: report.metadataBytes,
            changedSinceSeconds: lostSeconds,
            changedSince: changes?.count,
            changedSinceIsCut: changes?.isCut,
            behindFiles: report.behindFiles,
            sampled: report.sampled,
            equal: report.equal,
            checked: report.checked,
            changed: report.changed,
            behind: report.behind,
            different: report.different.map(\.path),
            unreadable: report.unreadable.map {
                DrillJSON.Unreadable(path: $0.path, reason: $0.error.message)
            },
            bytesRead: report.bytesRead,
            keepers: report.survey.findings.map {
                DrillJSON.Keeper(id: $0.keeper.hex, finding: "\($0.finding)")
            },
            failedProviders: report.providers.map {
                DrillJSON.Provider(id: $0.provider.hex, failures: $0.count, reason: $0.reason)
            },
            wrongShards: report.wrongShards
        )
    }
}

/// What `mefs recover --drill --json` prints.
struct DrillJSON: Encodable {
    struct Unreadable: Encodable {
        let path: String
        let reason: String
    }

    struct Keeper: Encodable {
        let id: String
        let finding: String
    }

    struct Provider: Encodable {
        let id: String
        /// Reads that failed.
        let failures: Int
        let reason: String
    }

    let volume: String
    /// Absent if it is not mounted; then nothing is compared.
    let mountpoint: String?
    let comesBack: Bool
    /// Of the head.
    let version: UInt64
    let headTime: String
    let headAgeSeconds: Double
    /// From the beginning until all names were there, and until the first file was read.
    let metadataSeconds: Double
    let firstFileSeconds: Double?
    let metadataBytes: UInt64
    /// How much later than the head the newest change is that the head has not.
    let changedSinceSeconds: Double?
    /// Entries of the mounted volume that were changed since, and whether there may be more.
    let changedSince: Int?
    let changedSinceIsCut: Bool?
    /// Files whose newest bytes were not placed when the head was made.
    let behindFiles: Int
    /// Files drawn; the next six say how they are.
    let sampled: Int
    let equal: Int
    let checked: Int
    let changed: Int
    let behind: Int
    let different: [String]
    let unreadable: [Unreadable]
    let bytesRead: UInt64
    let keepers: [Keeper]
    let failedProviders: [Provider]
    let wrongShards: [String]
}
