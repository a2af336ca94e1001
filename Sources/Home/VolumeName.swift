/// What a volume may be called.
package enum VolumeName {
    /// The longest name, in bytes.
    package static let bytesMax = 64

    /// The volume that `mount.mefs DIR` mounts.
    package static let standard = "home"

    /// Refuses what is not a name: letters, digits, ".", "_" and "-", beginning with a letter, a
    /// digit or "_".
    ///
    /// So a name is one part of a path, is never hidden, and never looks like an option.
    package static func check(_ name: String) throws(HomeError) {
        let isAllowed = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard !name.isEmpty, name.utf8.count <= bytesMax, isAllowed, !name.hasPrefix("."),
            !name.hasPrefix("-")
        else {
            throw HomeError(
                .usage,
                "'\(name)' is not a volume name; take 1 to \(bytesMax) letters, digits, '.', '_' or"
                    + " '-', not beginning with '.' or '-'"
            )
        }
    }
}
