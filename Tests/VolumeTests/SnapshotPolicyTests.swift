import Primitives
import Testing
import Volume

@Suite struct SnapshotPolicyTests {
    /// Monday, 2026-11-23T07:30:00Z.
    static let now = time("2026-11-23T07:30:00Z")

    static func time(_ text: String) -> Timestamp {
        guard let time = Timestamp(text: text) else { preconditionFailure("\(text) is no time") }
        return time
    }

    static func snapshot(
        _ version: UInt64,
        _ time: Timestamp,
        name: String = "",
        lockedUntil: Timestamp? = nil
    ) -> SnapshotInfo {
        SnapshotInfo(version: version, time: time, name: name, lockedUntil: lockedUntil)
    }

    /// Snapshots `step` seconds apart, the last at `end`, versions from 1.
    static func series(_ count: Int, every step: Int64, until end: Timestamp) -> [SnapshotInfo] {
        (0..<count).map { index in
            let seconds = end.seconds - Int64(count - 1 - index) * step
            return snapshot(UInt64(index + 1), Timestamp(seconds: seconds, nanoseconds: 0))
        }
    }

    static func kept(
        _ policy: SnapshotPolicy,
        _ snapshots: [SnapshotInfo],
        _ now: Timestamp = now
    ) -> [SnapshotInfo] {
        let expired = Set(policy.expired(snapshots, now: now))
        return snapshots.filter { !expired.contains($0) }
    }

    // MARK: Text

    @Test func textIsReadAndWritten() throws {
        let policy = try SnapshotPolicy(parsing: "24h,7d,4w,12m")
        #expect(policy == .standard)
        #expect(policy.text == "24h,7d,4w,12m")
        #expect(try SnapshotPolicy(parsing: "12m,1h").text == "1h,12m")
        #expect(try SnapshotPolicy(parsing: "0h,3w").text == "3w")
        #expect(try SnapshotPolicy(parsing: "none").isEmpty)
        #expect(SnapshotPolicy().text == "none")
        #expect(try SnapshotPolicy(parsing: "1000d").days == 1000)
    }

    @Test(arguments: ["", "24", "h", "24h,", "24h,24h", "-1h", "+1h", "1001h", "1y", " 1h", "1 h"])
    func otherTextIsRefused(text: String) {
        #expect(throws: FileSystemError.self) { try SnapshotPolicy(parsing: text) }
    }

    @Test func locksAreReadAndWritten() throws {
        var policy = SnapshotPolicy()
        #expect(policy.lockText == "none" && policy.lockedUntil(from: Self.now) == nil)
        for (text, seconds) in [("30d", 2_592_000), ("1w", 604_800), ("5h", 18_000), ("none", 0)] {
            policy.lockSeconds = try SnapshotPolicy.lockSeconds(parsing: text)
            #expect(policy.lockSeconds == Int64(seconds))
            #expect(try SnapshotPolicy.lockSeconds(parsing: policy.lockText) == Int64(seconds))
        }
        for text in ["", "d", "-1d", "+1d", "4000d", "9223372036854775807w", "1m", "1"] {
            #expect(throws: FileSystemError.self) { try SnapshotPolicy.lockSeconds(parsing: text) }
        }
        policy.lockSeconds = 60
        #expect(policy.lockedUntil(from: Self.now)?.seconds == Self.now.seconds + 60)
        let end = Timestamp(seconds: .max, nanoseconds: 0)
        #expect(policy.lockedUntil(from: end) == end)
    }

    // MARK: Expiry

    @Test func theNewestOfEachStretchIsKept() throws {
        // Every quarter of an hour for ninety days.
        let all = Self.series(4 * 24 * 90, every: 900, until: Self.now)
        let hours = Self.kept(try SnapshotPolicy(parsing: "3h"), all)
        #expect(
            hours.map(\.time.text) == [
                "2026-11-23T05:45:00Z", "2026-11-23T06:45:00Z", "2026-11-23T07:30:00Z",
            ]
        )
        let days = Self.kept(try SnapshotPolicy(parsing: "2d"), all)
        #expect(days.map(\.time.text) == ["2026-11-22T23:45:00Z", "2026-11-23T07:30:00Z"])
        // Weeks end with Sundays.
        let weeks = Self.kept(try SnapshotPolicy(parsing: "3w"), all)
        #expect(
            weeks.map(\.time.text) == [
                "2026-11-15T23:45:00Z", "2026-11-22T23:45:00Z", "2026-11-23T07:30:00Z",
            ]
        )
        let months = Self.kept(try SnapshotPolicy(parsing: "2m"), all)
        #expect(months.map(\.time.text) == ["2026-10-31T23:45:00Z", "2026-11-23T07:30:00Z"])
        #expect(Self.kept(.standard, all).count == 24 + 5 + 2 + 3)
        #expect(Self.kept(SnapshotPolicy(), all).isEmpty)
    }

    @Test func whatExpiredStaysExpired() {
        // Thinned at every step or once at the end, the same is left.
        var stepwise: [SnapshotInfo] = []
        for index in 0..<2000 {
            let time = Timestamp(seconds: Self.now.seconds + Int64(index) * 1800, nanoseconds: 0)
            stepwise.append(Self.snapshot(UInt64(index + 1), time))
            stepwise = Self.kept(.standard, stepwise, time)
            #expect(stepwise.count <= 24 + 7 + 4 + 12)
        }
        let end = Timestamp(seconds: Self.now.seconds + 1999 * 1800, nanoseconds: 0)
        #expect(stepwise == Self.kept(.standard, Self.series(2000, every: 1800, until: end), end))
    }

    @Test func namedAndLockedOnesStay() {
        var policy = SnapshotPolicy()
        policy.hours = 1
        let soon = Timestamp(seconds: Self.now.seconds + 1, nanoseconds: 0)
        let all = [
            Self.snapshot(1, Self.time("2020-01-01T00:00:00Z"), name: "before"),
            Self.snapshot(2, Self.time("2020-01-02T00:00:00Z"), lockedUntil: soon),
            Self.snapshot(3, Self.time("2020-01-03T00:00:00Z"), lockedUntil: Self.now),
            Self.snapshot(4, Self.now),
        ]
        #expect(policy.expired(all, now: Self.now).map(\.version) == [3])
        #expect(policy.expired(all, now: soon).map(\.version) == [2, 3])
        // A named one takes no other's place.
        let pair = [Self.snapshot(1, Self.now), Self.snapshot(2, Self.now, name: "by-hand")]
        #expect(policy.expired(pair, now: Self.now).isEmpty)
    }

    // MARK: Clocks

    @Test func timeThatPassesExpiresNothing() {
        let all = Self.kept(.standard, Self.series(10_000, every: 600, until: Self.now))
        for years in [0, 1, 10, 1000] {
            let later = Timestamp(
                seconds: Self.now.seconds + Int64(years) * 31_557_600,
                nanoseconds: 0
            )
            #expect(SnapshotPolicy.standard.expired(all, now: later).isEmpty)
        }
    }

    @Test func aClockThatWasAheadHarmsNothingThatFollows() {
        let before = Self.series(48, every: 3600, until: Self.now)
        // A day of snapshots a year ahead, then the clock is right again.
        let ahead = (0..<24).map { hour in
            Self.snapshot(
                UInt64(100 + hour),
                Timestamp(
                    seconds: Self.now.seconds + 31_536_000 + Int64(hour) * 3600,
                    nanoseconds: 0
                )
            )
        }
        let again = (0..<3).map { hour in
            Self.snapshot(
                UInt64(200 + hour),
                Timestamp(seconds: Self.now.seconds + Int64(hour + 1) * 3600, nanoseconds: 0)
            )
        }
        let now = Timestamp(seconds: Self.now.seconds + 4 * 3600, nanoseconds: 0)
        let all = before + ahead + again
        var policy = SnapshotPolicy()
        policy.hours = 24
        let kept = Set(Self.kept(policy, all, now).map(\.version))
        #expect(kept.isSuperset(of: [200, 201, 202]))
        // The others of the last 24 hours too, and of the future as many, not without end.
        #expect(kept.filter { $0 < 100 }.count == 21)
        #expect(kept.filter { (100..<200).contains($0) }.count == 24)
        #expect(policy.isDue(all, now: now))
        // Once that time has come they are like all others.
        let later = Timestamp(seconds: Self.now.seconds + 31_536_000 + 86_400, nanoseconds: 0)
        #expect(Set(Self.kept(policy, all, later).map(\.version)) == Set(100..<124))
    }

    @Test func aClockThatGoesBackMakesTheSameHourAgain() {
        var policy = SnapshotPolicy()
        policy.hours = 2
        let all = Self.series(3, every: 3600, until: Self.now)
        let back = Timestamp(seconds: Self.now.seconds - 3600, nanoseconds: 0)
        #expect(policy.expired(all, now: back).isEmpty)
        #expect(!policy.isDue(all, now: back))
        // Made again in that hour: the newer of it is kept.
        let twice = all + [Self.snapshot(9, Timestamp(seconds: back.seconds + 60, nanoseconds: 0))]
        #expect(policy.expired(twice, now: Self.now).map(\.version) == [1, 2])
    }

    @Test func extremeTimesAreTakenAsTheyAre() {
        let all = [Int64.min, -1, 0, 253_402_300_800, .max].enumerated().map { index, seconds in
            Self.snapshot(UInt64(index), Timestamp(seconds: seconds, nanoseconds: 0))
        }
        for now in all.map(\.time) {
            #expect(Self.kept(.standard, all, now).count >= 3)
            _ = SnapshotPolicy.standard.isDue(all, now: now)
        }
    }

    // MARK: When

    @Test func oneIsDueWhenTheShortestStretchHasNone() throws {
        let policy = SnapshotPolicy.standard
        #expect(policy.isDue([], now: Self.now))
        #expect(!SnapshotPolicy().isDue([], now: Self.now))
        let last = Self.snapshot(1, Self.time("2026-11-23T07:00:00Z"))
        #expect(!policy.isDue([last], now: Self.now))
        #expect(!policy.isDue([last], now: Self.time("2026-11-23T07:59:59Z")))
        #expect(policy.isDue([last], now: Self.time("2026-11-23T08:00:00Z")))
        let named = Self.snapshot(2, Self.time("2026-11-23T08:00:00Z"), name: "by-hand")
        #expect(policy.isDue([last, named], now: Self.time("2026-11-23T08:00:00Z")))
        let weekly = try SnapshotPolicy(parsing: "4w,12m")
        #expect(!weekly.isDue([last], now: Self.time("2026-11-29T23:59:59Z")))
        #expect(weekly.isDue([last], now: Self.time("2026-11-30T00:00:00Z")))
    }

    /// Against a slow reference: of each stretch the newest, of the newest stretches so many.
    @Test(arguments: 0..<20)
    func randomSetsAgreeWithAReference(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let all = (0..<120).map { index in
            let ago = Int64.random(in: 0..<200 * 86_400, using: &random)
            return Self.snapshot(
                UInt64(index),
                Timestamp(seconds: Self.now.seconds - ago, nanoseconds: 0)
            )
        }
        var policy = SnapshotPolicy()
        policy.hours = Int.random(in: 0..<30, using: &random)
        policy.days = Int.random(in: 0..<30, using: &random)
        policy.weeks = Int.random(in: 0..<10, using: &random)
        policy.months = Int.random(in: 0..<6, using: &random)
        func newest(_ count: Int, _ key: (SnapshotInfo) -> String) -> [SnapshotInfo] {
            let groups = Dictionary(grouping: all, by: key)
            let firsts = groups.sorted { $0.key > $1.key }.prefix(count).map(\.value)
            return firsts.compactMap { group in
                group.max { ($0.time, $0.version) < ($1.time, $1.version) }
            }
        }
        let reference = Set(
            newest(policy.hours) { String($0.time.text.prefix(13)) }
                + newest(policy.days) { String($0.time.text.prefix(10)) }
                + newest(policy.months) { String($0.time.text.prefix(7)) }
                + newest(policy.weeks) { snapshot in
                    // Days since Monday, 1969-12-29.
                    String(100_000 + (snapshot.time.seconds / 86_400 + 3) / 7)
                }
        )
        #expect(Set(Self.kept(policy, all)) == reference)
    }
}

@Suite struct SnapshotNameTests {
    private static let time = SnapshotPolicyTests.time("2026-11-23T07:14:52Z")

    @Test func namesAreThoseOfPaths() {
        for name in ["a", "before-upgrade", "v1.2_3", String(repeating: "x", count: 64)] {
            #expect(SnapshotInfo.isName(name))
        }
        for name in [
            "", "1", ".a", "-a", "a/b", "a b", "ä", "a\0", String(repeating: "x", count: 65),
        ] {
            #expect(!SnapshotInfo.isName(name))
        }
    }

    @Test func directoriesTellTimeAndName() {
        let plain = SnapshotPolicyTests.snapshot(3, Self.time)
        #expect(plain.directoryName == "2026-11-23T07-14-52Z")
        let named = SnapshotPolicyTests.snapshot(4, Self.time, name: "x")
        #expect(named.directoryName == "2026-11-23T07-14-52Z_x")
        // What is no part of a path is left out.
        let hostile = SnapshotPolicyTests.snapshot(5, Self.time, name: "../..")
        #expect(hostile.directoryName == "2026-11-23T07-14-52Z")
    }

    @Test func everySnapshotHasADirectoryOfItsOwn() throws {
        let all = [
            SnapshotPolicyTests.snapshot(5, Self.time), SnapshotPolicyTests.snapshot(3, Self.time),
            SnapshotPolicyTests.snapshot(4, Self.time, name: "x"),
        ]
        let names = all.directories.map(\.name)
        let base = "2026-11-23T07-14-52Z"
        #expect(names == [base, "\(base)_x", "\(base)~5"])
        for (name, snapshot) in all.directories { #expect(all.entry(name) == snapshot) }
        #expect(all.entry("nothing") == nil)
    }

    @Test func peopleMayNameOneInSeveralWays() throws {
        let all = [
            SnapshotPolicyTests.snapshot(3, Self.time, name: "x"),
            SnapshotPolicyTests.snapshot(4, SnapshotPolicyTests.now, name: "y"),
            SnapshotPolicyTests.snapshot(5, SnapshotPolicyTests.now, name: "y"),
        ]
        for text in [
            "2026-11-23T07-14-52Z", "2026-11-23T07:14:52Z", "2026-11-23T07-14-52Z_x", "x", "3",
        ] {
            #expect(try all.named(text).version == 3, "\(text)")
        }
        #expect(throws: FileSystemError.self) { try all.named("y") }
        #expect(throws: FileSystemError.self) { try all.named("2") }
        #expect(throws: FileSystemError.self) { try all.named("") }
    }
}
