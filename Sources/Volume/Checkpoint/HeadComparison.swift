import Metadata
package import Network
package import Primitives
import Wire

/// How the newest head that keepers have stands to what this machine has made.
package enum HeadComparison: Hashable, Sendable {
    /// It is this machine's last, or there is none: this machine goes on from what it has.
    case same
    /// Another machine has written since; what is here is not to be published.
    case newer
    /// All that keepers have is older than version `seen`, which one of them had taken.
    case rolledBack(seen: UInt64)
}

extension VolumeEngine {
    /// Compares what keepers have with what this machine made; reads this host's disk alone.
    ///
    /// - Throws: `corrupt` if the head that is kept here cannot be read.
    package func compare(
        with newest: VolumeHead?
    ) throws(FileSystemError) -> HeadComparison {
        let saved = try metadata.checkpointState()
        return HeadComparison(
            newest,
            own: try saved.decodedHead(),
            registered: saved.registered
        )
    }

    /// The term of the head that this machine made last; 0 for none.
    ///
    /// - Throws: `corrupt` if the head that is kept here cannot be read.
    package func lastHeadTerm() throws(FileSystemError) -> UInt64 {
        try metadata.checkpointState().decodedHead()?.term ?? 0
    }

    /// Looks again whether this machine is the volume's writer (`VolumeConfiguration.mayPublish`).
    package func noteWriter() {
        checkpoints?.noteWriter()
        reclaimer.noteWriter()
    }
}

extension HeadComparison {
    /// `own` is the head that was made here last, of which keepers may not know; `registered` the
    /// version that a keeper has taken last.
    package init(_ newest: VolumeHead?, own: VolumeHead?, registered: UInt64) {
        guard let newest else {
            self = registered == 0 ? .same : .rolledBack(seen: registered)
            return
        }
        guard let own else {
            self = .newer
            return
        }
        if newest == own || newest.digest == own.previous {
            self = .same
        } else if (newest.term, newest.version) < (own.term, own.version) {
            // Of this machine too: had another one written since, ours would be of an older term.
            // The last that was made here was on its way when this machine stopped.
            self = newest.version < registered ? .rolledBack(seen: registered) : .same
        } else {
            self = .newer
        }
    }
}

extension CheckpointState {
    /// The head that was made here last, whether registered or not; `nil` if none was.
    func decodedHead() throws(FileSystemError) -> VolumeHead? {
        guard !head.isEmpty else { return nil }
        do {
            return try VolumeHead(decoding: head)
        } catch {
            throw FileSystemError(.corrupt, "metadata database: the head is damaged: \(error)")
        }
    }
}

extension FileSystemError {
    /// What is refused to a machine that does not know to be the volume's writer.
    static var notWriter: FileSystemError {
        FileSystemError(
            .unavailable,
            "this machine does not hold the writer lease now; nothing is published without it"
        )
    }
}
