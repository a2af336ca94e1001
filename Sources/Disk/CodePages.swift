import Glibc

/// The code of the program and its libraries, as far as it is in this process's memory.
package enum CodePages {
    /// More than any program of ours has of mappings, and little to read them into.
    private static let mapsBytesMax = 256 << 10

    /// Lets go of the code that ran so far; what runs again comes back from the page cache.
    ///
    /// For daemons that have just started: most of what starting runs through never runs again.
    /// Costs some hundred soft page faults, once.
    package static func release() {
        guard let maps = try? WholeFile.read("/proc/self/maps", limit: mapsBytesMax) else { return }
        for line in maps.split(separator: UInt8(ascii: "\n")) {
            guard let range = codeRange(String(decoding: line, as: UTF8.self)) else { continue }
            // Nothing is lost: what is mapped from a file and cannot be written is as in the file.
            let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound)
            madvise(start, range.count, MADV_DONTNEED)
        }
    }

    /// The addresses of a line of `/proc/self/maps`, if it is code from a file.
    ///
    /// Such a line reads "start-end r-xp offset device inode path".
    private static func codeRange(_ line: String) -> Range<UInt>? {
        let fields = line.split(separator: " ", maxSplits: 5)
        guard fields.count == 6, fields[1] == "r-xp", fields[4] != "0" else { return nil }
        let ends = fields[0].split(separator: "-")
        guard ends.count == 2, let start = UInt(ends[0], radix: 16),
            let end = UInt(ends[1], radix: 16), start < end
        else { return nil }
        return start..<end
    }
}
