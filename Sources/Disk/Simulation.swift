import Glibc
import Synchronization

/// The door to a simulated host: which one, if any, the calling thread lives in.
///
/// All I/O, threads, waiting and time of the engine go through this module. Each of its functions
/// asks here first and, in a simulation, calls the `SimulatedKernel` instead of the kernel. Outside
/// simulations that is one relaxed load of a count that is 0.
package enum Simulation {
    /// Simulated worlds that run just now.
    private static let worlds = Atomic<Int>(0)

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let code = pthread_key_create(&key, nil)
        precondition(code == 0, "no thread-specific storage: \(code)")
        return key
    }()

    private final class Seat {
        let kernel: any SimulatedKernel

        init(_ kernel: any SimulatedKernel) { self.kernel = kernel }
    }

    /// The kernel of the calling thread; `nil` if it lives in the real world.
    @inline(__always)
    package static var current: (any SimulatedKernel)? {
        worlds.load(ordering: .relaxed) == 0 ? nil : seated()
    }

    @inline(never)
    private static func seated() -> (any SimulatedKernel)? {
        guard let seat = pthread_getspecific(key) else { return nil }
        return Unmanaged<Seat>.fromOpaque(seat).takeUnretainedValue().kernel
    }

    /// Runs `body` with the calling thread living in `kernel`'s world.
    package static func enter<Result>(
        _ kernel: any SimulatedKernel,
        _ body: () throws -> Result
    ) rethrows -> Result {
        let before = pthread_getspecific(key)
        let seat = Seat(kernel)
        pthread_setspecific(key, Unmanaged.passUnretained(seat).toOpaque())
        worlds.add(1, ordering: .sequentiallyConsistent)
        defer {
            worlds.subtract(1, ordering: .sequentiallyConsistent)
            pthread_setspecific(key, before)
        }
        return try withExtendedLifetime(seat) { try body() }
    }
}
