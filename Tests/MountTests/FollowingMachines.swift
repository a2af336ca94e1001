import Control
import Disk
import Glibc
import Mount
import Testing

/// One volume, a machine that writes it and one that follows: homes and mounts of their own, on a
/// network that a third mount runs.
struct FollowingMachines {
    /// A home on this host, and the volume's mount there.
    struct Place {
        let world: MountedVolume
        let name: String

        var home: String { world.root + "/home-" + name }
        var tree: String { world.root + "/tree-" + name }
        var volume: String { home + "/volumes/shared" }
        var client: ControlClient {
            get throws { try ControlClient(path: volume + "/control.sock") }
        }

        @discardableResult
        func run(_ program: String, _ arguments: [String]) throws -> MountedVolume.Ended {
            try world.run("/usr/bin/env", ["MEFS_HOME=" + home, program] + arguments)
        }

        func mefs(
            _ arguments: [String],
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let ended = try run(Machine.programs + "/mefs", arguments)
            #expect(ended.code == 0, "\(ended.output)", sourceLocation: sourceLocation)
        }

        func mount(_ options: String) throws {
            let ended = try tryMount(options)
            try #require(ended.code == 0, "mount.mefs: \(ended.output)")
        }

        func tryMount(_ options: String) throws -> MountedVolume.Ended {
            try run(Machine.programs + "/mount.mefs", ["shared", tree, "-o", options])
        }

        func unmount() throws {
            let ended = try run(world.root + "/bin/umount.mefs", [tree])
            #expect(ended.code == 0, "\(ended.output)")
        }

        /// Unmounts, placing nothing of what is dirty.
        func stop() throws {
            let client = try client
            let pid = try client.status().pid
            _ = try client.stop(drainSeconds: 0)
            world.waitForEnd(of: pid)
        }

        /// Kills the mount process as a crash would, and takes the dead mount away.
        func kill9() throws {
            let pid = try client.status().pid
            kill(pid, SIGKILL)
            world.waitForEnd(of: pid)
            umount2(tree, Int32(MNT_DETACH))
        }

        /// Runs a Python program in the tree; what it prints.
        @discardableResult
        func python(
            _ program: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws -> String {
            let ended = try world.python(Program.prelude + program, in: tree)
            #expect(ended.code == 0, "\(ended.output)", sourceLocation: sourceLocation)
            return ended.output
        }

        func follows() throws -> VolumeStatus.Following {
            try #require(try client.status().follows)
        }
    }

    let world: MountedVolume
    let writer: Place
    let reader: Place

    var network: String { world.home + "/networks/local" }
    private var phrase: String { world.root + "/phrase" }

    /// Makes and mounts the volume, has `prepare` write to it, and brings it to the other machine,
    /// which mounts nothing yet.
    static func with(
        prepare: String,
        _ body: (FollowingMachines) throws -> Void
    ) throws {
        try MountedVolume.with { world in
            try world.mount()
            let machines = FollowingMachines(
                world: world,
                writer: Place(world: world, name: "writer"),
                reader: Place(world: world, name: "reader")
            )
            defer { machines.end() }
            for place in [machines.writer, machines.reader] {
                try Directory.make(place.home)
                try Directory.make(place.tree)
            }
            try machines.make(prepare)
            try body(machines)
        }
    }

    private func make(_ prepare: String) throws {
        let file = network + "/network.json"
        try writer.mefs([
            "volume", "create", "shared", "--network", file, "--code", "4+2", "--phrase-out",
            phrase,
        ])
        try writer.mount("dirty-age=1")
        try writer.python(prepare)
        try writer.client.sync()
        try reader.mefs(["volume", "recover", "--phrase-file", phrase, "--network", file])
    }

    private func end() {
        for place in [reader, writer] {
            let pid = try? place.client.status().pid
            while (try? MountTable.current())?.top(at: place.tree) != nil {
                guard umount2(place.tree, Int32(MNT_DETACH)) == 0 else { break }
            }
            if let pid {
                kill(pid, SIGKILL)
                world.waitForEnd(of: pid)
            }
        }
    }

    /// Has the writer do something and place it, and the reader look.
    func write(_ program: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        try writer.python(program, sourceLocation: sourceLocation)
        try writer.client.sync()
        try reader.client.sync()
    }

    // MARK: The keeper's disk

    private func keeper(_ statements: String) throws {
        let program = """
            import json, sqlite3
            volume = bytes.fromhex(json.load(open('\(writer.volume)/volume.json'))['id'])
            with sqlite3.connect('\(network)/keeper/keeper.db', timeout=20) as db:
            """
        let lines = statements.split(separator: "\n").map { "\n    " + $0 }
        let ended = try world.python(
            Program.prelude + program + lines.joined(),
            in: world.plain
        )
        #expect(ended.code == 0, "\(ended.output)")
    }

    /// The newest head as the keeper has stored it.
    func keeperHead() throws -> [UInt8] {
        try keeper(
            """
            found = db.execute('SELECT head FROM heads WHERE volume=?', (volume,)).fetchone()
            write('head', found[0])
            """
        )
        return try WholeFile.read(world.plain + "/head")
    }

    /// Puts the keeper's disk back to another copy of it.
    func setKeeperHead(_ head: [UInt8]) throws {
        try WholeFile.replace(world.plain + "/head", with: head)
        try keeper("db.execute('UPDATE heads SET head=? WHERE volume=?', (read('head'), volume))")
    }
}
