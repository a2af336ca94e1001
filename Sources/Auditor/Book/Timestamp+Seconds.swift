import Primitives

extension Timestamp {
    /// So many seconds later; whole centuries are refused silently, for configured spans only.
    func adding(_ seconds: Double) -> Timestamp {
        let span = min(max(seconds, -3e9), 3e9)
        let whole = span.rounded(.down)
        var nanoseconds = Int64(self.nanoseconds) + Int64((span - whole) * 1e9)
        var total = self.seconds.addingReportingOverflow(Int64(whole)).partialValue
        if nanoseconds >= 1_000_000_000 {
            nanoseconds -= 1_000_000_000
            total = total.addingReportingOverflow(1).partialValue
        }
        return Timestamp(seconds: total, nanoseconds: UInt32(nanoseconds))
    }

    func adding(_ duration: Duration) -> Timestamp { adding(duration.inSeconds) }
}

extension Duration {
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
