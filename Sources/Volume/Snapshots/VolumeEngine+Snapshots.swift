package import Primitives

extension VolumeEngine {
    /// The trees of the volume's snapshots; to be closed before the engine is shut down.
    ///
    /// They read from the network as the live volume does, and share what is known of providers.
    ///
    /// `directory`: for the databases of open trees; whatever is in it is removed now.
    package func openSnapshots(
        of source: any SnapshotSource,
        in directory: String
    ) throws(FileSystemError) -> SnapshotTrees {
        try SnapshotTrees(source, fetcher: fetcher, directory: directory, logger: logger)
    }
}
