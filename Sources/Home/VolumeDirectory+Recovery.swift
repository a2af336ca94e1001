package import Network
package import Sealing
import Disk
import Primitives

extension VolumeDirectory {
    /// Makes the directory of a volume that a keeper has the registration of: on a machine that
    /// lost it, or never had it.
    ///
    /// `fill` makes the metadata database at the path that it is given; all or nothing, and
    /// durable.
    ///
    /// `retained`: the version, if it is made of a head that keepers retain and not of the newest.
    ///
    /// - Throws: `already` if there is a volume of that name, `wrongSecret` if the registration is
    ///   another owner's, or what `fill` throws.
    package static func recover(
        _ name: String,
        in home: Home,
        registration: VolumeRegistration,
        network: NetworkFile,
        seed: RootSeed,
        retained: UInt64? = nil,
        fill: (_ metadataPath: String) throws(HomeError) -> Void
    ) throws(HomeError) -> VolumeDirectory {
        try VolumeName.check(name)
        let path = home.path(ofVolume: name)
        guard !WholeFile.exists(path) else {
            throw HomeError(
                .already,
                "volume '\(name)' exists in \(home.path); choose another name"
            )
        }
        let file = VolumeFile(
            id: registration.id,
            code: registration.code,
            created: registration.created,
            ownerKey: registration.ownerKey,
            wrappedKey: registration.wrappedKey,
            network: .file
        )
        let seedBytes = try seedFile(seed, under: nil, for: file.id)
        let draft = home.volumesPath + "/.\(name).\(file.id.short)"
        do throws(HomeError) {
            try withDisk { () throws(DiskError) in
                // Left by a crash.
                try Directory.remove(tree: draft)
                try Directory.make(draft)
                try WholeFile.create(draft + "/seed", with: seedBytes, permissions: 0o600)
                try write(file, network: .file(network), phraseOf: nil, to: draft)
                try WholeFile.create(draft + "/registered", with: [])
                if let retained {
                    try WholeFile.create(draft + "/retained", with: Array("\(retained)\n".utf8))
                }
            }
            try fill(draft + "/metadata/volume.db")
            try withDisk { () throws(DiskError) in try Directory.rename(draft, to: path) }
        } catch {
            try? Directory.remove(tree: draft)
            throw error
        }
        return VolumeDirectory(home: home, name: name, file: file)
    }
}
