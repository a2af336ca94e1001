import Disk
package import Lease
import Network
import Primitives

extension VolumeDirectory {
    /// Who this machine's mounts are to the keepers of writer leases.
    package struct LeaseHolders: Hashable, Sendable {
        /// The mount that begins now.
        package let present: LeaseHolder
        /// An earlier one, which is over, since the volume's lock excludes both; `nil` for none.
        package let predecessor: LeaseHolder?
    }

    /// Two ids and their ends of line.
    private static let holdersBytesMax = 4 * LeaseHolder.byteCount + 2

    private var holdersPath: String { path + "/holder" }

    /// Chooses who the next mount is, and keeps it durably before any keeper hears of it.
    ///
    /// The file has the holder that keepers have granted the lease to last and, below, one that
    /// they may have. That one is used again: a mount that is killed between finds its own lease
    /// under either. The caller has the volume's lock.
    package func chooseHolders() throws(HomeError) -> LeaseHolders {
        let known = try savedHolders()
        let holders = LeaseHolders(
            present: known.count > 1 ? known[1] : .random(),
            predecessor: known.first
        )
        try save([holders.predecessor, holders.present].compactMap { $0 })
        return holders
    }

    /// Notes, durably, that keepers have granted the lease to `holder`.
    package func confirm(_ holder: LeaseHolder) throws(HomeError) { try save([holder]) }

    private func savedHolders() throws(HomeError) -> [LeaseHolder] {
        guard WholeFile.exists(holdersPath) else { return [] }
        let bytes = try withDisk { () throws(DiskError) in
            try WholeFile.read(holdersPath, limit: Self.holdersBytesMax)
        }
        // What cannot be read is no holder: then an old lease has to run out.
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            Hex.decode(String(line)).flatMap { LeaseHolder(bytes: $0) }
        }
    }

    private func save(_ holders: [LeaseHolder]) throws(HomeError) {
        let text = holders.map { $0.hex + "\n" }.joined()
        try withDisk { () throws(DiskError) in
            try WholeFile.replace(holdersPath, with: Array(text.utf8))
        }
    }
}
