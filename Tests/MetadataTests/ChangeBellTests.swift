import Disk
import Metadata
import Primitives
import Testing

/// Threads that sleep until something changes.
@Suite struct ChangeBellTests {
    @Test func everyCommitOfChangesCountsAndNoOther() throws {
        try withStore { store in
            let before = store.changeCount
            _ = try store.create(.file, named: try name("a"), in: .root, now: time(2))
            try store.commit()
            let after = store.changeCount
            #expect(after > before)
            try store.commit()
            _ = try store.lookup(try name("a"), in: .root)
            #expect(store.changeCount == after)
        }
    }

    @Test func whoLookedBeforeAChangeDoesNotSleepThroughIt() throws {
        try withStore { store in
            let seen = store.changeCount
            _ = try store.create(.file, named: try name("a"), in: .root, now: time(2))
            let start = Clock.monotonic()
            store.waitForChange(after: seen, for: .seconds(60)) { false }
            #expect(Clock.monotonic() - start < .seconds(30))
            #expect(store.changeCount > seen)
        }
    }

    @Test func whoMustStopIsWoken() throws {
        try withStore { store in
            let mustStop = Condition(false)
            let seen = store.changeCount
            let sleeper = try Disk.Thread.spawn("sleeper") {
                store.waitForChange(after: seen, for: .seconds(3600)) {
                    mustStop.withLock { $0 }
                }
            }
            mustStop.update { $0 = true }
            store.wakeWaiters()
            sleeper.join()
            #expect(store.changeCount == seen)
        }
    }
}
