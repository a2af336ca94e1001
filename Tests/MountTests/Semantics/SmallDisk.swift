import Disk
import Glibc
import Testing

/// Filesystems made for a test, below its folder.
enum SmallDisk {
    static let canLoop =
        WholeFile.exists("/dev/loop-control") && WholeFile.exists("/sbin/mkfs.ext4")

    /// A cache on a filesystem of 48 MiB in memory.
    static let forCache: @Sendable (MountedVolume) throws -> @Sendable () -> Void = { volume in
        let cache = try volume.makesHome()
        try mount("tmpfs", at: cache, type: "tmpfs", options: "size=48m,mode=700")
        return { umount2(cache, Int32(MNT_DETACH)) }
    }

    /// A cache on an ext4 whose disk is a sparse file of 256 MiB on a filesystem of 40 MiB: once
    /// that is full, the disk fails what is written to new places.
    static let forFailingCache: @Sendable (MountedVolume) throws -> @Sendable () -> Void = {
        volume in
        let cache = try volume.makesHome()
        let small = volume.root + "/small"
        try Directory.make(small)
        try mount("tmpfs", at: small, type: "tmpfs", options: "size=40m")
        try volume.ends(0, "/bin/truncate", ["-s", "256M", small + "/disk"])
        try volume.ends(0, "/sbin/mkfs.ext4", ["-q", "-E", "nodiscard", small + "/disk"])
        try volume.ends(0, "/bin/mount", ["-o", "loop,data=ordered", small + "/disk", cache])
        return {
            umount2(cache, Int32(MNT_DETACH))
            umount2(small, Int32(MNT_DETACH))
        }
    }

    private static func mount(
        _ source: String,
        at path: String,
        type: String,
        options: String
    ) throws {
        let result = Glibc.mount(source, path, type, 0, options)
        try #require(result == 0, "\(path): \(DiskError.reason(of: errno))")
    }
}

extension MountedVolume {
    /// Makes home and volume by a first mount; the cache is empty then.
    ///
    /// - Returns: the cache's directory.
    func makesHome() throws -> String {
        try mount(["-o", "epoch=3600"])
        try #require(try unmount().code == 0)
        return home + "/volumes/home/cache"
    }

    /// Runs a program that has to end with `code`.
    func ends(_ code: Int32, _ program: String, _ arguments: [String]) throws {
        let ended = try run(program, arguments)
        try #require(ended.code == code, "\(program) \(arguments): \(ended.output)")
    }

    /// Takes what is mounted at the cache away, so that an empty directory is there.
    func takesCacheDiskAway() throws {
        let cache = home + "/volumes/home/cache"
        try #require(umount2(cache, Int32(MNT_DETACH)) == 0)
    }

    /// Runs `body` while some of the six providers answer nothing.
    func frozen(providers: ClosedRange<Int>, _ body: () throws -> Void) throws {
        let pids = try providers.map {
            try #require(FileLock.holder(of: lock(ofProvider: $0))?.pid)
        }
        defer { for pid in pids { kill(pid, SIGCONT) } }
        for pid in pids { kill(pid, SIGSTOP) }
        try body()
    }

    /// Runs `body` while some of the six providers are killed as often as they are started again.
    func without(providers: ClosedRange<Int>, _ body: () throws -> Void) throws {
        let isOver = Condition(false)
        let killer = try Thread.spawn("killer") {
            repeat {
                for number in providers {
                    if let pid = FileLock.holder(of: lock(ofProvider: number))?.pid {
                        kill(pid, SIGKILL)
                    }
                }
                Clock.sleep(for: .milliseconds(5))
            } while !isOver.withLock { $0 }
        }
        defer {
            isOver.update { $0 = true }
            killer.join()
        }
        try body()
    }

    private func lock(ofProvider number: Int) -> String {
        "\(home)/networks/local/provider-\(number)/lock"
    }
}
