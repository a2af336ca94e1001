package import Primitives

/// What a thread of a simulated machine reaches instead of the kernel.
///
/// One object for each thread, called on that thread only. `Sources/SimulatedHost` has the one
/// implementation.
package protocol SimulatedKernel: AnyObject, Sendable {
    // MARK: Time

    /// Wall-clock time of the machine.
    func now() -> Timestamp
    /// Time that never goes back.
    func monotonic() -> Duration
    /// Lets virtual time pass; others run meanwhile.
    func sleep(for duration: Duration)

    // MARK: Threads

    /// Starts a thread of the same machine.
    func spawn(_ name: String, _ body: @escaping @Sendable () -> Void) -> any SimulatedThread
    /// Lets the seed choose who goes on.
    func yield()
    /// Waits until somebody calls `wake` with `key`, or until the monotonic time `deadline`.
    ///
    /// `what` is for reports of who waits where.
    ///
    /// - Returns: `false` if the deadline came first.
    func block(on key: ObjectIdentifier, of what: any Any.Type, until deadline: Duration?) -> Bool
    /// Makes whoever waits for `key` runnable; the caller goes on.
    func wake(_ key: ObjectIdentifier)

    // MARK: The machine

    var files: any SimulatedFiles { get }
    var processID: Int32 { get }
    /// Random id of this boot.
    var bootID: String { get }
    /// Randomness that steers behaviour, drawn from the seed.
    func randomBytes(_ count: Int) -> [UInt8]
    /// The engine has done this step.
    func note(_ step: DurableStep)
}

/// A thread of a simulated machine.
package protocol SimulatedThread: AnyObject, Sendable {
    /// Waits for its end.
    func join()
}

/// The disk of a simulated machine, by paths.
///
/// Each call is one system call: it happens or not, also at a crash.
package protocol SimulatedFiles: AnyObject, Sendable {
    func open(
        _ path: String,
        _ access: Descriptor.Access,
        _ options: Descriptor.Options
    ) throws(DiskError) -> any SimulatedFile
    func makeDirectory(_ path: String) throws(DiskError)
    func isDirectory(_ path: String) -> Bool
    func exists(_ path: String) -> Bool
    /// Names in the directory, sorted.
    func list(_ path: String) throws(DiskError) -> [String]
    func removeDirectory(_ path: String) throws(DiskError)
    func unlink(_ path: String) throws(DiskError)
    func link(_ path: String, _ newPath: String) throws(DiskError)
    /// Renames; `replaces`: what is at `newPath` goes, else EEXIST.
    func rename(_ path: String, _ newPath: String, replaces: Bool) throws(DiskError)
    /// The absolute path.
    func resolve(_ path: String) throws(DiskError) -> String
    /// Bytes that may still be written, and bytes in all.
    func space() throws(DiskError) -> (free: UInt64, total: UInt64)
}

/// An open file or directory of a simulated disk; the methods are `Descriptor`'s.
package protocol SimulatedFile: AnyObject, Sendable {
    func read(
        at offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) -> Int
    func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(DiskError)
    func append(_ bytes: [UInt8]) throws(DiskError)
    func sync() throws(DiskError)
    func syncFilesystem() throws(DiskError)
    func size() throws(DiskError) -> UInt64
    func allocatedBytes() throws(DiskError) -> UInt64
    func isOpenOnce() throws(DiskError) -> Bool
    func stamp() throws(DiskError) -> FileStamp
    func truncate(to size: UInt64) throws(DiskError)
    /// Makes the range read as zero, without its space or, with `keepsSpace`, with it.
    func zero(_ range: Range<UInt64>, keepsSpace: Bool, keepsSize: Bool) throws(DiskError)
    func allocate(_ range: Range<UInt64>, keepSize: Bool) throws(DiskError)
    func nextData(from offset: UInt64) throws(DiskError) -> UInt64?
    func nextHole(from offset: UInt64) throws(DiskError) -> UInt64?
    /// Takes the lock of the whole file; EAGAIN if another open file has it.
    func lock() throws(DiskError)
    func unlock()
    /// Whether another open file has the lock.
    var isLockedByAnother: Bool { get }
}
