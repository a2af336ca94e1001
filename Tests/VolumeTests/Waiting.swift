import Disk
import Primitives
import Testing

/// Asks `condition` until it holds, for three minutes at most.
func waitUntil(_ condition: () throws -> Bool) throws {
    let deadline = Clock.monotonic() + .seconds(180)
    while try !condition() {
        guard Clock.monotonic() < deadline else {
            throw FileSystemError(.unavailable, "did not come true within three minutes")
        }
        Clock.sleep(for: .milliseconds(20))
    }
}
