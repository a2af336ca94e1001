import Glibc
import Synchronization

/// An exclusive lock on a file, held against every other process (and every other `FileLock` of
/// this one) until `release`, `deinit` or the death of the process, however it dies.
///
/// The file stays behind: removing it would let two processes lock two files of one name. Its text
/// tells people who holds the lock; only the kernel decides.
///
/// An open-file-description lock (`man 2 fcntl`, F_OFD_SETLK) and not `flock(2)`, because it can be
/// asked about without taking it: a look at a free lock must not fail who is just taking it.
package final class FileLock: Sendable {
    /// Why a lock was not had.
    package enum Failure: Error, CustomStringConvertible {
        case held(path: String, by: Holder)
        case disk(DiskError)

        package var description: String {
            switch self {
            case .held(let path, let holder): "\(path) is locked by \(holder)"
            case .disk(let error): error.description
            }
        }
    }

    /// Who holds a lock, as its file tells; a holder that just came may not have written yet.
    package struct Holder: Hashable, Sendable, CustomStringConvertible {
        /// Process id, or `nil` if the file does not tell.
        package let pid: Int32?
        /// What the holder said of itself, perhaps empty: one line.
        package let note: String

        package var description: String {
            let process = pid.map { "process \($0)" } ?? "another process"
            return note.isEmpty ? process : "\(process) (\(note))"
        }
    }

    /// The longest text of a lock file that is read; a path and a number fit easily.
    private static let textBytesMax = 8 << 10

    package let path: String
    private let file: Mutex<Descriptor?>

    /// Locks `path` without waiting, making it if missing, and leaves pid and `note` in it.
    package init(_ path: String, note: String = "") throws(Failure) {
        self.path = path
        do throws(DiskError) {
            let file = try Descriptor(opening: path, .readWrite, .create)
            try file.lock()
            let line = note.split(whereSeparator: \.isNewline).joined(separator: " ")
            try file.truncate(to: 0)
            let pid = Simulation.current?.processID ?? getpid()
            try file.write(at: 0, Array("\(pid)\n\(line)\n".utf8))
            self.file = Mutex(file)
        } catch {
            if error.errno == EAGAIN || error.errno == EACCES {
                throw .held(path: path, by: Self.holder(named: path))
            }
            throw .disk(error)
        }
    }

    /// Lets go; a second call does nothing.
    package func release() {
        let held = file.withLock { (file: inout Descriptor?) -> Descriptor? in
            defer { file = nil }
            return file
        }
        // Closing would do, unless a child process being started holds a copy just now.
        held?.unlock()
    }

    deinit { release() }

    /// Who holds the lock at `path`; `nil` if nobody does.
    ///
    /// What it says may be over at once.
    package static func holder(of path: String) -> Holder? {
        guard let file = try? Descriptor(opening: path) else { return nil }
        return file.isLockedByAnother ? holder(named: path) : nil
    }

    private static func holder(named path: String) -> Holder {
        let bytes =
            (try? Descriptor(opening: path).read(at: 0, count: textBytesMax)) ?? []
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        return Holder(
            pid: lines.first.flatMap { Int32($0) },
            note: lines.count > 1 ? String(lines[1]) : ""
        )
    }
}
