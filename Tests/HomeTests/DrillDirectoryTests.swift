import Disk
import Home
import Primitives
import Sealing
import Testing

struct DrillDirectoryTests {
    @Test func oneDrillAtATimeAndNothingStays() throws {
        try withHome { home in
            let volume = try VolumeDirectory.create(
                "a",
                in: home,
                network: .local,
                code: #require(ErasureCode("4+2")),
                seed: RootSeed.random()
            )
            let drills = home.path + "/drills"
            // As a drill that was killed leaves it.
            try Directory.make(drills + "/a/deep")
            try WholeFile.create(drills + "/a/deep/1.db", with: [1])

            let first = try DrillDirectory(of: volume)
            #expect(first.path == drills + "/a")
            #expect(try Directory.list(first.path).isEmpty)
            do throws(HomeError) {
                _ = try DrillDirectory(of: volume)
                Issue.record("two drills at once")
            } catch {
                #expect(error.code == .already)
            }
            try WholeFile.create(first.path + "/1.db", with: [1])
            first.remove()
            first.remove()
            #expect(try Directory.list(drills) == ["a.lock"])
            let second = try DrillDirectory(of: volume)
            second.remove()
            #expect(try VolumeDirectory.list(in: home) == ["a"])
        }
    }
}
