import Control
import Network
import Primitives
import Transport

/// The heads of a volume that keepers retain, as somebody who recovers it chooses among them.
struct RetainedRecovery {
    let volume: VolumeID
    let network: RemoteNetwork

    /// Shows them, the oldest first.
    func report(json: Bool) throws {
        let found = try RetainedRegister.list(of: volume, at: network)
        if json { return try Output.json(Report(volume: volume.hex, heads: found.map(Row.init))) }
        guard !found.isEmpty else {
            return Output.line("no keeper retains a head of volume \(volume.short)")
        }
        let keepers = network.keeperIDs.count
        Output.table(
            [["version", "made", "received", "retained until", "keepers", "digest"]]
                + found.map { head in
                    let row = Row(head)
                    return [
                        "\(row.version)", row.made, row.received, row.until,
                        "\(row.keepers.count) of \(keepers)", head.digest.short,
                    ]
                }
        )
    }

    /// The one that is meant by its version, the beginning of its time (as `report` shows it, or as
    /// a snapshot's directory is called), or that of its digest.
    ///
    /// - Throws: `notFound` if there is none, `usage` if several are meant.
    func fetch(_ which: String) throws -> RetainedHeadContent {
        let found = try RetainedRegister.list(of: volume, at: network)
        var wanted = found.filter { "\($0.version)" == which }
        if wanted.isEmpty {
            wanted = found.filter { head in
                let made = head.time.text
                let directory = String(made.map { $0 == ":" ? "-" : $0 })
                return head.digest.hex.hasPrefix(which.lowercased()) || made.hasPrefix(which)
                    || directory.hasPrefix(which)
            }
        }
        guard let first = wanted.first else {
            throw ControlFailure(
                .notFound,
                "no keeper retains a head '\(which)' of volume \(volume.short); --list shows which"
                    + " there are"
            )
        }
        guard wanted.count == 1 else {
            let digests = wanted.map(\.digest.short).joined(separator: ", ")
            throw ControlFailure(
                .usage,
                "'\(which)' may be each of \(wanted.count) heads; take the digest: \(digests)"
            )
        }
        return try RetainedRegister.fetch(first, of: volume, at: network)
    }

    private struct Report: Encodable {
        let volume: String
        let heads: [Row]
    }

    private struct Row: Encodable {
        let version: UInt64
        let digest: String
        /// When the head was made, by the clock of its maker: RFC 3339.
        let made: String
        /// When a keeper got it first, by its own clock.
        let received: String
        let until: String
        /// Ids of those that have it.
        let keepers: [String]

        init(_ head: RetainedRegister.Found) {
            version = head.version
            digest = head.digest.hex
            made = head.time.text
            received = head.received.text
            until = Timestamp(seconds: head.until, nanoseconds: 0).text
            keepers = head.keepers.map(\.hex)
        }
    }
}
