package import Network
package import Primitives

/// What a drill found.
package struct DrillReport: Sendable {
    /// A file that did not come back as it should.
    package struct Failure: Sendable {
        /// From the root, with a slash before each name.
        package let path: String
        /// Why; `corrupt` if its bytes are not those of the mounted volume.
        package let error: FileSystemError
    }

    /// A provider that failed some reads, or gave wrong bytes.
    package struct ProviderFailure: Hashable, Sendable {
        package let provider: NodeID
        /// Reads that failed.
        package let count: Int
        /// The last reason.
        package let reason: String
    }

    /// What the keepers said.
    package internal(set) var survey: HeadSurvey
    /// Of the newest head.
    package internal(set) var version: UInt64
    /// When it was made.
    package internal(set) var headTime: Timestamp
    /// When anything in it changed last.
    package internal(set) var newestChange: Timestamp?
    /// Sealed bytes of metadata.
    package internal(set) var metadataBytes: UInt64
    /// From the beginning until all names were there, in seconds.
    package internal(set) var metadataSeconds = 0.0
    /// From the beginning until the first file was read; `nil` if none was.
    package internal(set) var firstFileSeconds: Double?
    /// Files whose newest bytes were nowhere but on their machine when the head was made.
    package internal(set) var behindFiles = 0
    /// Whether there were more than a head tells of.
    package internal(set) var isBehindCut = false

    /// Files drawn.
    package internal(set) var sampled = 0
    /// Those that are, by SHA-256, what the mounted volume has.
    package internal(set) var equal = 0
    /// Those whose every block passed its tags, with nothing to compare with.
    package internal(set) var checked = 0
    /// Those that were changed, moved or removed in the mounted volume since.
    package internal(set) var changed = 0
    /// Those that were behind, read as far as they were placed.
    package internal(set) var behind = 0
    /// Those that are something else than in the mounted volume.
    package internal(set) var different: [Failure] = []
    package internal(set) var unreadable: [Failure] = []
    /// Plain bytes read of files.
    package internal(set) var bytesRead: UInt64 = 0
    package internal(set) var providers: [ProviderFailure] = []
    /// Shards whose bytes did not pass their tags, newest last.
    package internal(set) var wrongShards: [String] = []

    /// Whether everything drawn came back.
    package var isRight: Bool { different.isEmpty && unreadable.isEmpty }
}
