import Disk
import Primitives
import Testing

/// Asks `condition` until it holds, for a minute at most.
func waitUntil(_ condition: () throws -> Bool) throws {
    let deadline = Clock.monotonic() + .seconds(60)
    while try !condition() {
        guard Clock.monotonic() < deadline else {
            throw FileSystemError(.unavailable, "did not come true within a minute")
        }
        Clock.sleep(for: .milliseconds(20))
    }
}
