import Disk
import Metadata
import Primitives
import Testing
import Volume

/// The check of the metadata in the background, after an unclean stop.
@Suite(.serialized)
struct CrashCheckTests {
    /// Runs `body` on a volume as a kill has left it.
    private func afterKill(_ body: (VolumeFixture) throws -> Void) throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            try fixture.open { engine in
                try engine.write([1, 2, 3], at: 0, to: try engine.makeFile("new"))
                try body(try fixture.image().checkingAfterCrash)
            }
        }
    }

    private func state(of engine: VolumeEngine) throws -> CrashCheck.State? {
        try waitUntil { engine.status().lastCheck != .running }
        return engine.status().lastCheck
    }

    @Test func aKilledVolumeIsCheckedAndFoundWhole() throws {
        try afterKill { killed in
            try killed.open { engine in
                // Work goes on meanwhile.
                for index in 0..<50 {
                    try engine.write([1, 2, 3], at: 0, to: try engine.makeFile("f\(index)"))
                }
                guard case .done(_, let findings, let first) = try state(of: engine) else {
                    Issue.record("it has not ended")
                    return
                }
                #expect(findings == 0)
                #expect(first == nil)
            }
        }
    }

    @Test func damageIsToldAndLeftAlone() throws {
        try afterKill { killed in
            try killed.run("UPDATE inode SET nlink=nlink+1 WHERE kind=1")
            try killed.open { engine in
                let state = try state(of: engine)
                #expect(state?.findings == 4)
                #expect(state?.text.contains("mefs fsck") == true)
            }
            let found = try killed.check()
            #expect(found.counts == [.wrongLinkCount: 4])
        }
    }

    @Test func aVolumeThatWasUnmountedIsNotChecked() throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            try fixture.checkingAfterCrash.open { engine in
                #expect(engine.status().lastCheck == nil)
            }
        }
    }

    @Test func unmountingEndsIt() throws {
        try afterKill { killed in
            // Closed at once: whether it had ended or not, nothing hangs, and all is in order.
            try killed.open { _ in }
            #expect(try killed.check().isClean)
        }
    }
}

extension VolumeFixture {
    /// The same, its metadata checked in the background after a crash.
    fileprivate var checkingAfterCrash: VolumeFixture {
        var configuration = configuration
        configuration.checksAfterCrash = true
        return VolumeFixture(directory: directory, network: network, configuration: configuration)
    }
}
