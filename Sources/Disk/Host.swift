import CLinux
import Glibc

/// What the machine we run on tells of itself.
package enum Host {
    /// Random id of the running kernel's boot; another one after every reboot or power cut.
    package static func bootID() throws(DiskError) -> String {
        if let kernel = Simulation.current { return kernel.bootID }
        let bytes = try WholeFile.read("/proc/sys/kernel/random/boot_id", limit: 256)
        return String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }

    /// Bytes an ordinary user may still write on the filesystem that holds `path`.
    package static func freeBytes(_ path: String) throws(DiskError) -> UInt64 {
        if let kernel = Simulation.current { return try kernel.files.space().free }
        let space = try filesystem(path)
        return UInt64(space.f_bavail) &* UInt64(space.f_frsize)
    }

    /// Bytes the filesystem that holds `path` has in all.
    package static func totalBytes(_ path: String) throws(DiskError) -> UInt64 {
        if let kernel = Simulation.current { return try kernel.files.space().total }
        let space = try filesystem(path)
        return UInt64(space.f_blocks) &* UInt64(space.f_frsize)
    }

    /// Whether transfers around the page cache (`Descriptor.Options.direct`) can be relied on in
    /// the filesystem that holds `path`.
    ///
    /// So on ext4, XFS, Btrfs and F2FS. Filesystems of programs (FUSE) and of networks often take
    /// the option without being made for it. Numbers: `man 2 statfs`.
    package static func takesDirectTransfers(_ path: String) -> Bool {
        guard Simulation.current == nil else { return false }
        return [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010]
            .contains(clinux_filesystem_type(path))
    }

    private static func filesystem(_ path: String) throws(DiskError) -> statvfs {
        var result = statvfs()
        try systemCall("measure the filesystem of", path) { statvfs(path, &result) }
        return result
    }

    /// Has freed buffers of megabytes kept for the next ones, `bytes` of them; call once, before
    /// any thread is started.
    ///
    /// Else malloc maps, and the kernel zeroes, fresh pages for every one.
    package static func keepFreedMemory(_ bytes: Int) {
        // The largest threshold that glibc takes; and two heaps, not eight for each processor.
        clinux_keep_freed_memory(32 << 20, bytes, 2)
    }

    /// Gives back what is kept of freed memory, for times in which nothing is going on.
    package static func releaseFreedMemory() {
        guard Simulation.current == nil else { return }
        clinux_release_freed_memory()
    }

    /// Path of the program file that runs.
    package static func executablePath() throws(DiskError) -> String {
        try Directory.resolve("/proc/self/exe")
    }

    /// Processors a simulated machine has: as many as our smallest real ones.
    private static let simulatedProcessors = 2

    /// Processors this process may use, at least 1.
    package static func processorCount() -> Int {
        guard Simulation.current == nil else { return simulatedProcessors }
        return max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }
}
