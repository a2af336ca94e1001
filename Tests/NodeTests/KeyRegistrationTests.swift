import Disk
import Network
import Node
import Primitives
import Sealing
import Testing
import Transport

/// What becomes of a registration when the volume's key is changed or destroyed.
@Suite struct KeyRegistrationTests {
    private let seed = RootSeed(trusted: [UInt8](repeating: 7, count: 32))

    private func registration(_ key: VolumeKey) throws -> VolumeRegistration {
        let id = try #require(VolumeID(bytes: [UInt8](repeating: 5, count: 16)))
        return try VolumeRegistration(
            id: id,
            code: Samples.code(),
            wrappedKey: seed.wrap(key, for: id),
            created: Samples.time,
            signedBy: Samples.key(50)
        )
    }

    private func shredding() throws -> VolumeRegistration {
        try VolumeRegistration(
            shredding: #require(VolumeID(bytes: [UInt8](repeating: 5, count: 16))),
            code: Samples.code(),
            created: Samples.time,
            signedBy: Samples.key(50)
        )
    }

    /// Where `bytes` are found below the keeper's directory.
    private func places(of bytes: [UInt8], in network: TestNetwork) throws -> [String] {
        let directory = network.path + "/keeper"
        return try Directory.list(directory).filter { name in
            guard !Directory.isDirectory(directory + "/" + name) else { return false }
            let content = try WholeFile.read(directory + "/" + name)
            return content.indices.contains { content[$0...].starts(with: bytes) }
        }
    }

    @Test func laterKeyTakesThePlaceOfTheEarlier() throws {
        try withNetwork(providers: 0) { network, _ in
            let first = VolumeKey.random()
            let old = try registration(first)
            let new = try registration(#require(first.next()))
            #expect(new.replaces(old) && !old.replaces(new) && !old.replaces(old))
            try network.owner.register(old)
            try network.owner.register(new)
            #expect(
                failure { () throws(NetworkError) in try network.owner.register(old) } == .exists
            )
            let kept = try #require(try network.owner.registration(of: old.id))
            #expect(kept == new)
            #expect(try seed.unwrap(kept.wrappedKey, for: kept.id).generation == 1)
        }
    }

    @Test func shreddedVolumeHasNoKeyAnyMore() throws {
        try withNetwork(providers: 0) { network, _ in
            let volume = try registration(.random())
            try network.owner.register(volume)
            let secret = Array(volume.wrappedKey.dropFirst(13))
            #expect(try !places(of: secret, in: network).isEmpty, "the search finds nothing")

            let shredding = try shredding()
            #expect(shredding.isShredded && shredding.isSignatureValid)
            #expect(shredding.replaces(volume))
            let keeper = try #require(network.file.keepers.first).publicKey.nodeID
            for _ in 0..<2 {
                _ = try network.owner.ask(shredding, ofKeeper: keeper).wait(for: .seconds(60))
            }
            #expect(try network.owner.registrations() == [shredding])
            #expect(try places(of: secret, in: network).isEmpty)

            #expect(
                failure { () throws(NetworkError) in try network.owner.register(volume) } == .exists
            )
            let later = try registration(#require(VolumeKey.random().next()))
            #expect(
                failure { () throws(NetworkError) in try network.owner.register(later) } == .exists
            )
            #expect(try network.owner.registrations() == [shredding])
        }
    }

    @Test func nobodyElseShreds() throws {
        try withNetwork(providers: 0) { network, _ in
            let volume = try registration(.random())
            try network.owner.register(volume)
            let stranger = try RemoteNetwork(
                file: network.file,
                identity: try Samples.key(51),
                logger: network.log.logger
            )
            defer { stranger.close() }
            let theirs = try VolumeRegistration(
                shredding: volume.id,
                code: volume.code,
                created: volume.created,
                signedBy: Samples.key(51)
            )
            #expect(failure { () throws(NetworkError) in try stranger.register(theirs) } == .exists)
            let ours = try shredding()
            #expect(
                failure { () throws(NetworkError) in try stranger.register(ours) } == .unauthorized
            )
            #expect(try network.owner.registrations() == [volume])
        }
    }
}
