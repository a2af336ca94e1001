import Glibc
import Sealing

extension LocalNetwork {
    /// Opens the volume `name` on this network, making it at its first use.
    ///
    /// The recovery phrase of a new one is left in its directory, since nobody was asked where to
    /// put it, and `announce` is told where. The network need not be running.
    package static func ensureVolume(
        _ name: String = VolumeName.standard,
        in home: Home,
        announce: (String) -> Void = LocalNetwork.writeToStandardError
    ) throws(HomeError) -> VolumeDirectory {
        do throws(HomeError) {
            return try VolumeDirectory.open(name, in: home)
        } catch {
            guard error.code == .notFound else { throw error }
        }
        do throws(HomeError) {
            let volume = try VolumeDirectory.create(
                name,
                in: home,
                network: .local,
                code: code,
                seed: .random(),
                writesPhrase: true
            )
            announce(
                "made volume '\(name)' (code \(code), embedded network) in \(volume.path); its"
                    + " recovery phrase is in \(volume.path)/phrase: write it down, keep it apart"
                    + " from this machine, and delete the file"
            )
            return volume
        } catch {
            // Another mount was faster.
            guard error.code == .already else { throw error }
            return try VolumeDirectory.open(name, in: home)
        }
    }

    /// Writes one line.
    package static func writeToStandardError(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
