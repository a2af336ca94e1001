import Logging
import Metadata
import Network
import Primitives
import Sealing
import Testing
import Volume

/// A head counts once more than half of the keepers have it.
@Suite struct HeadMajorityTests {
    /// One of three keepers had taken the head, `mefs sync` said that all is well, and the machine
    /// that took over through the two others went on without it.
    @Test func regressionSyncIsNotAcknowledgedByTooFewKeepers() throws {
        try withHeads { fixture, _ in
            let network = fixture.network
            try fixture.open { engine in
                _ = try engine.makeFile("first")
                try engine.place()
                let registered = try #require(engine.status().checkpoints?.registered)
                #expect(registered > 0)
                let away = network.keeperIDs.suffix(2)
                for keeper in away { network.changeKeeper(keeper) { $0.isUp = false } }
                _ = try engine.makeFile("second")
                let error = #expect(throws: FileSystemError.self) { try engine.place() }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains("1 of 3 keepers") == true)
                #expect(engine.status().checkpoints?.registered == registered)
                // One of them is enough with the one that has it.
                for keeper in away.prefix(1) { network.changeKeeper(keeper) { $0.isUp = true } }
                try engine.place()
                let now = try #require(engine.status().checkpoints?.registered)
                #expect(now > registered)
            }
        }
    }

    /// What a head that was taken over does without, an older one may need that more keepers have.
    @Test func nothingIsGivenUpBeforeAHeadOfOnesOwn() throws {
        try withHeads { fixture, owner in
            try fixture.open { engine in
                let file = try engine.makeFile("file")
                try engine.write([UInt8](repeating: 7, count: 70_000), at: 0, to: file)
                try engine.place()
                try engine.resize(file, to: 0)
                try engine.place()
            }
            let survey = HeadRegister.newest(
                of: fixture.configuration.id,
                owner: owner,
                at: fixture.network
            )
            let head = try #require(survey.newest)
            let recovery = VolumeRecovery(
                key: fixture.configuration.key,
                network: fixture.network,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            let path = fixture.directory + "/restored.db"
            _ = try recovery.restore(try recovery.plan(head), to: path) { _, _ in }
            let metadata = try MetadataStore(opening: path)
            defer { try? metadata.close() }
            #expect(try metadata.collectReleased(limit: 100) == 0)
            try metadata.noteRegistered(
                head.version + 1,
                through: try metadata.checkpointState().lastRow,
                forgettingThrough: nil
            )
            #expect(try metadata.collectReleased(limit: 100) > 0)
        }
    }

    /// A volume that is not open yet and whose heads are registered, and their owner.
    private func withHeads(_ body: (VolumeFixture, NodeID) throws -> Void) throws {
        try VolumeFixture.with { fixture in
            let owner = try RootSeed.random().identityKey()
            var configuration = fixture.configuration
            configuration.checkpoints = VolumeConfiguration.Checkpoints(owner: owner)
            let fixture = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            try body(fixture, owner.publicKey.nodeID)
        }
    }
}
