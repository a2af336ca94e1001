import Disk
import Synchronization
import Testing
import Transport

@Suite struct PendingTests {
    @Test func waiterGetsWhatAnotherThreadBrings() throws {
        let pending = Pending<Int>()
        let thread = try Disk.Thread.spawn("bringer") { pending.fulfil(.success(7)) }
        #expect(try pending.wait(for: .seconds(60)) == 7)
        thread.join()
    }

    @Test func waiterGetsTheError() {
        let pending = Pending<Int>(.failure(NetworkError(.full, "no room")))
        #expect(throws: NetworkError(.full, "no room")) { try pending.wait(for: .zero) }
    }

    @Test func waitingEndsAtItsLimit() throws {
        let pending = Pending<Int>()
        let error = #expect(throws: NetworkError.self) { try pending.wait(for: .milliseconds(1)) }
        #expect(error?.code == .timedOut)
        pending.fulfil(.success(1))
        #expect(try pending.wait(for: .zero) == 1)
    }

    @Test func firstOutcomeCounts() throws {
        let pending = Pending<Int>()
        pending.fulfil(.success(1))
        pending.fulfil(.success(2))
        #expect(try pending.wait(for: .zero) == 1)
    }

    @Test func everyCallbackRunsOnceBeforeOrAfter() {
        let pending = Pending<Int>()
        let seen = Mutex<[Int]>([])
        pending.whenDone { outcome in seen.withLock { $0.append((try? outcome.get()) ?? -1) } }
        pending.fulfil(.success(3))
        pending.whenDone { outcome in seen.withLock { $0.append((try? outcome.get()) ?? -1) } }
        #expect(seen.withLock { $0 } == [3, 3])
    }

    @Test func mapPassesValuesAndErrorsOn() throws {
        #expect(try Pending<Int>(.success(2)).map { $0 * 2 }.wait(for: .zero) == 4)
        let failed = Pending<Int>(.failure(NetworkError(.closed, "x"))).map { $0 }
        #expect(throws: NetworkError(.closed, "x")) { try failed.wait(for: .zero) }
        let refused = Pending<Int>(.success(2)).map { (_) throws(NetworkError) -> Int in
            throw NetworkError(.malformed, "y")
        }
        #expect(throws: NetworkError(.malformed, "y")) { try refused.wait(for: .zero) }
    }

    @Test func allIsDoneWhenTheLastIs() throws {
        let parts = (0..<3).map { _ in Pending<Void>() }
        let whole = Pending.all(parts)
        parts[1].fulfil(.failure(NetworkError(.full, "second")))
        parts[0].fulfil(.success(()))
        #expect(whole.outcome == nil)
        parts[2].fulfil(.failure(NetworkError(.closed, "third")))
        #expect(throws: NetworkError(.full, "second")) { try whole.wait(for: .zero) }
        try Pending.all([]).wait(for: .zero)
    }
}
