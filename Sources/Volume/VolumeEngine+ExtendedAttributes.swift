package import Primitives
import Disk
import Metadata

extension VolumeEngine {
    /// Where the placement state of a file shows: `local`, `placing j/n`, `placed` or
    /// `proved TIME`.
    private static let stateName = Array("user.mefs.state".utf8)
    /// Names that only MEFS itself may use.
    private static let reservedPrefix = Array("user.mefs.".utf8)

    package func extendedAttribute(
        _ name: [UInt8],
        of ino: InodeNumber
    ) throws(FileSystemError) -> [UInt8] {
        if name == Self.stateName { return Array(try placementState(of: ino).utf8) }
        return try metadata.extendedAttribute(name, of: ino)
    }

    package func setExtendedAttribute(
        _ name: [UInt8],
        to value: [UInt8],
        mode: XattrMode,
        clearsSetGroup: Bool = false,
        of ino: InodeNumber
    ) throws(FileSystemError) {
        try refuseReserved(name)
        try metadata.setExtendedAttribute(
            name,
            to: value,
            mode: mode,
            clearsSetGroup: clearsSetGroup,
            of: ino,
            now: now()
        )
    }

    package func extendedAttributes(
        of ino: InodeNumber
    ) throws(FileSystemError) -> [[UInt8]] {
        try metadata.extendedAttributes(of: ino)
    }

    package func removeExtendedAttribute(
        _ name: [UInt8],
        of ino: InodeNumber
    ) throws(FileSystemError) {
        try refuseReserved(name)
        try metadata.removeExtendedAttribute(name, of: ino, now: now())
    }

    private func refuseReserved(_ name: [UInt8]) throws(FileSystemError) {
        guard !name.starts(with: Self.reservedPrefix) else {
            throw FileSystemError(
                .notPermitted,
                "attributes under user.mefs. are told by the volume, not set"
            )
        }
    }

    /// The state of the file's least placed byte.
    private func placementState(of ino: InodeNumber) throws(FileSystemError) -> String {
        guard try metadata.attributes(of: ino).kind == .regular else { return "placed" }
        let content = try loaded(ino)
        try passthrough.harvest(content, isAskedFor: true)
        let dirty = content.state.read { state in
            state.blocks.filter { $0.value.dirtySince != nil }.map { BlockIndex($0.key) }
        }
        guard !dirty.isEmpty else {
            return try provedAt(content).map { "proved \($0.text)" } ?? "placed"
        }
        return uploader.progress(of: ino, blocks: dirty) ?? "local"
    }

    /// When every holder of a shard of the file had proved that it has it; of a file of which
    /// nothing is stored, of the whole volume.
    ///
    /// `nil` if one never has.
    private func provedAt(_ content: FileContent) throws(FileSystemError) -> Timestamp? {
        guard let custody else { return nil }
        let stripes = content.state.read { state in
            Set(state.blocks.values.compactMap(\.location?.stripe))
        }
        guard !stripes.isEmpty else { return custody.lastProofOfAll }
        var oldest: Timestamp?
        for id in stripes {
            // A stripe that is gone was rewritten meanwhile: what replaced it is new.
            guard let stripe = try metadata.placedStripe(id), let time = custody.provedAt(stripe)
            else { return nil }
            oldest = oldest.map { min($0, time) } ?? time
        }
        return oldest
    }
}
