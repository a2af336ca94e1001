package import Primitives

/// How people and paths name a snapshot.
extension SnapshotInfo {
    /// The longest name that may be given by hand.
    package static let nameBytesMax = 64

    /// Whether a snapshot may be given this name: letters, digits, ".", "_" and "-", beginning
    /// with a letter.
    ///
    /// So it is a part of a path and looks neither like an option nor like a time or version.
    package static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= nameBytesMax else { return false }
        func isLetter(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        return isLetter(first)
            && text.utf8.allSatisfy { byte in
                isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
                    || byte == UInt8(ascii: "-")
            }
    }

    /// The time as a part of a path: UTC, "2026-11-23T07-14-52Z".
    package var timeName: String {
        String(time.text.map { $0 == ":" ? "-" : $0 })
    }

    /// What `.mefs/snapshots` lists: "TIME" or "TIME_NAME".
    package var directoryName: String {
        name.isEmpty || !Self.isName(name) ? timeName : "\(timeName)_\(name)"
    }
}

extension [SnapshotInfo] {
    /// The snapshots with the names of their directories, oldest first.
    ///
    /// Where several of one second would have one name, all but the oldest add "~VERSION".
    package var directories: [(name: String, snapshot: SnapshotInfo)] {
        var taken: Set<String> = []
        return sorted { $0.version < $1.version }.map { snapshot in
            let name = snapshot.directoryName
            guard !taken.insert(name).inserted else { return (name, snapshot) }
            return ("\(name)~\(snapshot.version)", snapshot)
        }
    }

    /// The snapshot that a path names: as it is listed, or by its time alone.
    ///
    /// Of several of one second the time alone is the oldest.
    package func entry(_ name: String) -> SnapshotInfo? {
        let listed = directories
        if let found = listed.first(where: { $0.name == name }) { return found.snapshot }
        return listed.first { $0.snapshot.timeName == name }?.snapshot
    }

    /// The snapshot that a person names: as its directory, by time (with colons too), name given
    /// by hand, or version.
    ///
    /// - Throws: `notFound` if none is meant, `invalid` if several have the name.
    package func named(_ text: String) throws(FileSystemError) -> SnapshotInfo {
        if let found = entry(text) ?? entry(String(text.map { $0 == ":" ? "-" : $0 })) {
            return found
        }
        let called = filter { !$0.name.isEmpty && $0.name == text }
        guard called.count <= 1 else {
            throw FileSystemError(
                .invalid,
                "\(called.count) snapshots are named '\(text)'; name one by its time"
            )
        }
        let numbered = UInt64(text).flatMap { version in first { $0.version == version } }
        guard let found = called.first ?? numbered else {
            throw FileSystemError(
                .notFound,
                "there is no snapshot '\(text)'; 'mefs snapshot list' shows which are there"
            )
        }
        return found
    }
}
