/// When reading an inode changes its access time (`man 8 mount`).
package enum AccessTimePolicy: Sendable {
    /// Never (`noatime`).
    case never
    /// If it was not later than the last change, or is a day old (`relatime`).
    case relative
    /// Always (`strictatime`).
    case always

    /// Seconds after which `relative` lets any reading count, as in Linux.
    private static let stale: Int64 = 86_400

    /// Whether reading an inode with these attributes is to be noted.
    package func isDue(_ attributes: Attributes, now: Timestamp) -> Bool {
        switch self {
        case .never: false
        case .always: true
        case .relative:
            attributes.accessed <= attributes.modified
                || attributes.accessed <= attributes.changed
                || now.seconds.subtractingReportingOverflow(attributes.accessed.seconds)
                    .partialValue >= Self.stale
        }
    }
}
