import ArgumentParser
import Control
import Disk
import Glibc

struct CloneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clone",
        abstract: "Make a copy of a file or tree at once, which shares its bytes at the providers.",
        discussion: """
            Both must be in the same mounted volume; the source may be in one of its snapshots. No \
            bytes are copied, read or sent, but what of the source is not placed yet is placed \
            first. Afterwards each is written to without changing the other.

            The destination must not exist. Ended early, it leaves a part of the tree, each file \
            in it whole. Only the superuser's clones keep owners, devices and privileged attributes.
            """
    )

    @Argument(help: "What is cloned: a file, a directory with all below it, or anything else.")
    var source: String

    @Argument(help: "The clone, which must not exist yet.")
    var destination: String

    @Flag(help: "Print JSON: one object a line while it goes on, one at the end.")
    var json = false

    func run() throws {
        let place = try ClonePlace(of: destination)
        let found = try Self.status(of: source)
        guard found.st_dev == place.device else {
            throw ControlFailure(
                .usage,
                "\(source) and \(place.directory) must be in the same mounted volume"
            )
        }
        let request = CloneRequest(
            source: UInt64(found.st_ino),
            parent: place.parent,
            name: place.name,
            owner: geteuid() == 0 ? nil : CloneRequest.Owner(uid: geteuid(), gid: getegid())
        )
        let client = try ControlClient(mountHolding: place.directory)
        var bar = ProgressBar(isTerminal: Output.isTerminal && !json)
        defer { bar.clear() }
        var placingMax: UInt64 = 0
        let report = try client.clone(request) { report in
            guard !json else {
                try? Output.json(report, compact: true)
                return
            }
            placingMax = max(placingMax, report.placingBytes)
            show(report, placingMax, &bar)
        }
        bar.clear()
        if json { try Output.json(report, compact: true) } else { tell(report) }
        guard report.failed == 0 else {
            throw ControlFailure(
                .incomplete,
                "\(report.failed) entries were not cloned, \(report.failures[0].path) the first:"
                    + " \(report.failures[0].reason)"
            )
        }
    }

    /// Of a link itself, not of what it leads to.
    private static func status(of path: String) throws(ControlFailure) -> stat {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            throw ControlFailure(DiskError("find", path, errno: errno))
        }
        return status
    }

    private func show(_ report: CloneReport, _ placingMax: UInt64, _ bar: inout ProgressBar) {
        guard report.placingBytes == 0 else {
            let done = Double(placingMax - report.placingBytes) / Double(placingMax)
            return bar.show(
                fraction: done,
                "\(Readable.bytes(report.placingBytes)) of it to place first"
            )
        }
        // How much there is nobody knows before the end.
        bar.show(fraction: 1, "\(report.entries) entries, \(Readable.bytes(report.bytes))")
    }

    private func tell(_ report: CloneReport) {
        Output.line(
            "cloned \(report.files) files of \(Readable.bytes(report.bytes)),"
                + " \(report.directories) directories and \(report.others) others"
        )
        for failure in report.failures {
            Output.line("not cloned: \(failure.path): \(failure.reason)")
        }
    }
}

extension CloneReport {
    fileprivate var entries: UInt64 { files + directories + others }
}

/// Where a clone is to be made.
private struct ClonePlace {
    /// Path of the directory that it is made in.
    let directory: String
    let device: dev_t
    let parent: UInt64
    let name: [UInt8]

    /// - Throws: `already` if something is there, `usage` for what is no name of its own.
    init(of path: String) throws(ControlFailure) {
        var bytes = Array(path.utf8)
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
        name = Array(bytes[(slash.map { $0 + 1 } ?? 0)...])
        let directory: String =
            switch slash {
            case nil: "."
            case 0: "/"
            case let end?: String(decoding: bytes[..<end], as: UTF8.self)
            }
        self.directory = directory
        guard !name.isEmpty, name != Array(".".utf8), name != Array("..".utf8) else {
            throw ControlFailure(.usage, "'\(path)' is no name for a clone")
        }
        var status = stat()
        guard lstat(path, &status) != 0 else {
            throw ControlFailure(.already, "\(path) exists; a clone is made where nothing is yet")
        }
        guard stat(directory, &status) == 0, access(directory, W_OK | X_OK) == 0 else {
            throw ControlFailure(DiskError("make a clone in", directory, errno: errno))
        }
        device = status.st_dev
        parent = UInt64(status.st_ino)
    }
}
