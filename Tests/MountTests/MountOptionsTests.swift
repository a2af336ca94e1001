import Control
import Mount
import Primitives
import Testing

struct MountOptionsTests {
    @Test func aLoneDirectoryIsTheEmbeddedVolume() throws {
        let options = try MountOptions(parsing: ["/mnt"])
        #expect(options == MountOptions(source: .embedded, directory: "/mnt"))
        #expect(options.drainSeconds == 60)
    }

    @Test func mountPassesItsArgumentsInItsOwnOrder() throws {
        let options = try MountOptions(parsing: [
            "home", "/mnt", "-s", "-n", "-v", "-o", "ro,noatime,_netdev,x-a.b=c", "-t", "mefs",
        ])
        #expect(options.source == .volume("home"))
        #expect(options.directory == "/mnt")
        #expect(options.isReadOnly && options.isVerbose && options.skipsUserTable)
        #expect(options.accessTimes == .never)
        #expect(options.kernelOptions.isEmpty)
    }

    @Test func theNameInTheTableOfMountsIsTaken() throws {
        #expect(try MountOptions(parsing: ["mefs:home", "/mnt"]).source == .volume("home"))
    }

    @Test func optionsAreRead() throws {
        let options = try MountOptions(parsing: [
            "-rfo", "cache-size=2G,dirty-max=512M", "v", "/mnt", "-o",
            "dirty-age=1.5,drain=0,sync=local,phrase-file=/p,noallow_other,threads=4,nonempty",
            "-o", "passphrase-file=-",
        ])
        #expect(options.isReadOnly && options.isForeground && options.allowsNonEmpty)
        #expect(options.cacheBytesMax == 2 << 30)
        #expect(options.dirtyBytesMax == 512 << 20)
        #expect(options.dirtyAgeSeconds == 1.5)
        #expect(options.drainSeconds == 0)
        #expect(options.phraseFile == "/p")
        #expect(options.passphraseFile == "-")
        #expect(options.allowsOthers == false)
        #expect(options.threadCount == 4)
    }

    @Test func aSnapshotIsMountedReadOnly() throws {
        let options = try MountOptions(parsing: ["v", "/m", "-wo", "rw,snapshot=before-upgrade"])
        #expect(options.snapshot == "before-upgrade" && options.isReadOnly)
        let time = "snapshot=2026-11-23T07:14:52Z"
        #expect(try MountOptions(parsing: ["v", "/m", "-o", time]).snapshot?.count == 20)
        #expect(try MountOptions(parsing: ["v", "/m"]).snapshot == nil)
        #expect(throws: ControlFailure.self) {
            try MountOptions(parsing: ["v", "/m", "-o", "snapshot="])
        }
        #expect(throws: ControlFailure.self) {
            try MountOptions(parsing: ["v", "/m", "-o", "snapshot"])
        }
    }

    @Test func auditAndRepairOptionsAreRead() throws {
        let options = try MountOptions(parsing: [
            "v", "/m", "-o", "audit-leaves=1,repair-wait=0.5,repair-rate=2M,delegate=off,epoch=1",
        ])
        #expect(options.auditLeaves == 1)
        #expect(options.repairWaitSeconds == 0.5)
        #expect(options.repairBytesPerSecond == 2 << 20)
        #expect(!options.delegates)
        #expect(options.epochSeconds == 1)
        let most = try MountOptions(parsing: ["v", "/m", "-o", "audit-leaves=2048"])
        #expect(most.auditLeaves == 2048)
        let plain = try MountOptions(parsing: ["v", "/m", "-o", "delegate=on"])
        #expect(plain.delegates && plain.auditLeaves == nil && plain.epochSeconds == nil)
    }

    @Test func readWriteUndoesReadOnly() throws {
        #expect(try !MountOptions(parsing: ["v", "/m", "-o", "ro", "-w"]).isReadOnly)
        #expect(try !MountOptions(parsing: ["v", "/m", "-o", "ro,rw"]).isReadOnly)
    }

    @Test(arguments: [
        ["v", "/m", "-o", "bogus"], ["v", "/m", "-o", "cache-size=big"],
        ["v", "/m", "-o", "cache-size=0"], ["v", "/m", "-o", "cache-size=99999999999T"],
        ["v", "/m", "-o", "drain=-1"], ["v", "/m", "-o", "drain=soon"],
        ["v", "/m", "-o", "sync=placed"], ["v", "/m", "-o"], ["-x", "/m"], [], ["a", "b", "c"],
        ["v", "/m", "-o", "threads=0"], ["v", "/m", "-o", "audit-leaves=0"],
        ["v", "/m", "-o", "audit-leaves=2049"], ["v", "/m", "-o", "repair-wait=-1"],
        ["v", "/m", "-o", "repair-rate=0"], ["v", "/m", "-o", "delegate=maybe"],
        ["v", "/m", "-o", "epoch=0"], ["v", "/m", "-o", "epoch=86401"],
    ])
    func nonsenseIsRefused(arguments: [String]) {
        let error = #expect(throws: ControlFailure.self) { try MountOptions(parsing: arguments) }
        #expect(error?.code == .usage)
    }

    @Test func theFailureNamesTheOption() {
        let error = #expect(throws: ControlFailure.self) {
            try MountOptions(parsing: ["v", "/m", "-o", "ro,bogus=1"])
        }
        #expect(error?.message.contains("'bogus'") == true)
    }

    @Test func unmountTakesTheFlagsOfUmount() throws {
        let options = try UnmountOptions(parsing: ["/mnt", "-l", "-n", "-v", "-t", "fuse.mefs"])
        #expect(options.isLazy && options.isVerbose && !options.isForced)
        #expect(!options.requiresDrain)
        #expect(try UnmountOptions(parsing: ["-f", "/mnt"]).isForced)
        let drained = try UnmountOptions(parsing: ["/mnt", "-o", "drain=5"])
        #expect(drained.requiresDrain && drained.drainSeconds == 5)
    }
}
