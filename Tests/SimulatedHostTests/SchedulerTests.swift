import Disk
import SimulatedHost
import Testing

struct SchedulerTests {
    @Test func sleepingTakesNoRealTime() throws {
        let world = SimulatedWorld(seed: 1)
        let slept = try world.run(on: world.machine("a")) {
            let before = Clock.monotonic()
            Clock.sleep(for: .seconds(3600))
            return Clock.monotonic() - before
        }
        #expect(slept >= .seconds(3600) && slept < .seconds(3601))
    }
}
