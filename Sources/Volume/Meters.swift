import Disk
import Primitives
import Synchronization

/// What the data path counts, for `mefs status`.
final class Meters: Sendable {
    let uploadedBytes = Atomic<UInt64>(0)
    let downloadedBytes = Atomic<UInt64>(0)
    let degradedReads = Atomic<UInt64>(0)
    private let rates = Mutex(Rates())
    private let events = Mutex(Events())

    /// Bytes a second over the last few seconds, up and down.
    private struct Rates {
        var at = Clock.monotonic()
        var uploaded: UInt64 = 0
        var downloaded: UInt64 = 0
        var uploadRate = 0.0
        var downloadRate = 0.0
    }

    private struct Events {
        var lastError: String?
        var shardErrors: [String] = []
    }

    /// Complaints about shards that are kept; older ones are in the log.
    private static let shardErrorsMax = 16
    /// The span over which rates are smoothed, in seconds.
    private static let rateSeconds = 2.0

    var lastError: String? { events.withLock { $0.lastError } }
    var shardErrors: [String] { events.withLock { $0.shardErrors } }

    /// What keeps uploads from being completed; `nil` when nothing does.
    func setLastError(_ message: String?) {
        events.withLock { $0.lastError = message }
    }

    func noteShardError(_ message: String) {
        events.withLock { events in
            events.shardErrors.append(message)
            if events.shardErrors.count > Self.shardErrorsMax { events.shardErrors.removeFirst() }
        }
    }

    /// Smoothed bytes a second; asking updates them.
    func bytesPerSecond() -> (upload: Double, download: Double) {
        let up = uploadedBytes.load(ordering: .relaxed)
        let down = downloadedBytes.load(ordering: .relaxed)
        return rates.withLock { rates in
            let now = Clock.monotonic()
            let elapsed = (now - rates.at) / .seconds(1)
            guard elapsed > 0.2 else { return (rates.uploadRate, rates.downloadRate) }
            let weight = min(1, elapsed / Self.rateSeconds)
            rates.uploadRate += weight * (Double(up - rates.uploaded) / elapsed - rates.uploadRate)
            rates.downloadRate +=
                weight * (Double(down - rates.downloaded) / elapsed - rates.downloadRate)
            rates.uploaded = up
            rates.downloaded = down
            rates.at = now
            return (rates.uploadRate, rates.downloadRate)
        }
    }
}
