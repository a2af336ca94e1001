/// What went wrong with a file-system operation, for the program that asked and for its user.
package struct FileSystemError: Error, Sendable, CustomStringConvertible {
    /// One per answer a program can tell apart; `Mount` turns each into one errno.
    package enum Code: Sendable, CaseIterable {
        /// No such entry or inode (ENOENT).
        case notFound
        /// An inode that the kernel still knew is gone (ESTALE): it looks the name up again.
        case stale
        /// The entry exists already (EEXIST).
        case exists
        case notDirectory
        case isDirectory
        case directoryNotEmpty
        case nameTooLong
        /// Cache disk, or providers, have no room (ENOSPC).
        case noSpace
        /// An argument that makes no sense here (EINVAL).
        case invalid
        case fileTooLarge
        /// No such extended attribute (ENODATA).
        case noAttribute
        case tooManyLinks
        case notPermitted
        /// Permissions do not let the caller in (EACCES).
        case accessDenied
        case notSupported
        /// No data or hole past the offset (`lseek`, ENXIO).
        case beyondEnd
        /// The engine would have to wait for a disk sync or the network; ask again with
        /// `wait: .allowed` on a thread that may.
        case wouldWait
        /// It is being changed all the time, and has to be left alone for a moment (EBUSY).
        case busy
        /// Providers that hold the data do not answer (EIO).
        case unavailable
        /// Stored bytes are not what was written (EIO).
        case corrupt
        /// A system call of ours failed (EIO).
        case inputOutput
        /// The volume is being unmounted (EIO).
        case closed
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
