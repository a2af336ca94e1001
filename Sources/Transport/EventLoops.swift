import NIOCore
import NIOPosix

/// The threads that move bytes between sockets and frames.
///
/// Nothing on them may block.
package final class EventLoops: Sendable {
    let group: MultiThreadedEventLoopGroup

    /// - Parameter threads: 1 by default: one loop moves about 1.5 GiB/s, more than the disks and
    ///   ciphers around it.
    package init(threads: Int = 1) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, threads))
    }

    /// Ends the threads; connections still open are closed.
    ///
    /// Blocks; not from a loop.
    package func stop() {
        // It fails only if stopped before, which is what is wanted.
        try? group.syncShutdownGracefully()
    }
}

extension NIODeadline {
    /// The next of the moments that lie `period` apart, the same ones for all connections of a
    /// process: what looks at its connections so wakes up once for all of them.
    func next(after period: TimeAmount) -> NIODeadline {
        let step = UInt64(max(1, period.nanoseconds))
        return .uptimeNanoseconds((uptimeNanoseconds / step + 1) * step)
    }
}
