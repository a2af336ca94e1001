/// A point in time as POSIX has it: seconds since 1970 and nanoseconds in 0..<1,000,000,000.
package struct Timestamp: Hashable, Comparable, Sendable {
    package let seconds: Int64
    package let nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// 1970-01-01T00:00:00Z.
    package static let epoch = Timestamp(seconds: 0, nanoseconds: 0)

    /// Seconds from `earlier` to `self`, negative if `earlier` is later.
    package func seconds(since earlier: Timestamp) -> Double {
        Double(seconds - earlier.seconds)
            + (Double(nanoseconds) - Double(earlier.nanoseconds)) / 1e9
    }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.seconds, lhs.nanoseconds) < (rhs.seconds, rhs.nanoseconds)
    }
}
