import Disk
import Glibc
import Synchronization
import Testing

struct SignalWaiterTests {
    @Test func waiterTakesASignalSentToItsThread() throws {
        let taken = Mutex<Int32>(0)
        let thread = try Thread.spawn("signals") {
            let waiter = SignalWaiter([SIGUSR1])
            #expect(waiter.wait(for: .zero) == nil)
            pthread_kill(pthread_self(), SIGUSR1)
            taken.withLock { $0 = waiter.wait() }
        }
        thread.join()
        #expect(taken.withLock { $0 } == SIGUSR1)
    }

    @Test func threadsBlockSignalsAndCarryTheirName() throws {
        let status = Mutex("")
        let thread = try Thread.spawn("a-name-of-more-than-15-bytes") {
            let bytes = (try? WholeFile.read("/proc/thread-self/status")) ?? []
            status.withLock { $0 = String(decoding: bytes, as: UTF8.self) }
        }
        thread.join()
        let text = status.withLock { $0 }
        #expect(text.contains("Name:\ta-name-of-more-"))
        let mask = try #require(
            text.split(separator: "\n").first { $0.hasPrefix("SigBlk:") }
                .flatMap { UInt64($0.split(separator: "\t")[1], radix: 16) }
        )
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD] {
            #expect(mask & 1 << (signal - 1) != 0)
        }
        #expect(mask & 1 << (SIGSEGV - 1) == 0)
    }
}
