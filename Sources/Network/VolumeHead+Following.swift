import Primitives
package import Transport
import Primitives

extension VolumeHead {
    /// Why a keeper does not take this head, whose signature it has checked; `nil` if it takes it.
    ///
    /// `stored` is what it has, and `newestTerm` the newest term of a lease that it granted. A
    /// keeper never goes back to an older term or, within one, to an older version; it keeps the
    /// first of two heads of one version, and takes what leaves versions out, since it may have
    /// been away. A newer term takes the place of an older one whatever their versions: what is
    /// here may be of a writer that lost the volume before more than half of the keepers had it.
    /// The same head again is taken.
    package func refusal(after stored: VolumeHead?, newestTerm: UInt64) -> NetworkError? {
        if let stored, stored == self { return nil }
        let newestTerm = max(newestTerm, stored?.term ?? 0)
        guard term >= newestTerm else {
            return NetworkError(
                .superseded,
                "head \(version) of volume \(volume.short) is of term \(term), and a writer with"
                    + " term \(newestTerm) has the volume"
            )
        }
        guard let stored, stored.term == term else { return nil }
        guard version >= stored.version else {
            return NetworkError(
                .conflict,
                "head \(version) of volume \(volume.short) is older than head \(stored.version),"
                    + " which is here"
            )
        }
        guard version != stored.version else {
            return NetworkError(
                .conflict,
                "another head \(version) of volume \(volume.short) is here"
            )
        }
        guard version - stored.version > 1 || previous == stored.digest else {
            return NetworkError(
                .conflict,
                "head \(version) of volume \(volume.short) does not follow the head"
                    + " \(stored.version) that is here"
            )
        }
        return nil
    }

    /// Whether `other` shows that the owner signed two histories: not this head, though of its
    /// version, or the next and not made after it.
    package func isForked(from other: VolumeHead) -> Bool {
        let (older, newer) = version <= other.version ? (self, other) : (other, self)
        if older.version == newer.version { return older != newer }
        return newer.version - older.version == 1 && newer.previous != older.digest
    }
}
