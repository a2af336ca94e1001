/// What is to be cloned, and where to.
package struct CloneRequest: Hashable, Sendable, Codable {
    /// Inode numbers as `stat(2)` tells them of the source, also in a snapshot, and of the
    /// directory that the clone is made in.
    package let source: UInt64
    package let parent: UInt64
    /// The clone's name, whatever bytes it has.
    package let name: [UInt8]
    /// Whom the clone is to belong to; `nil` leaves the owners, for the superuser.
    package let owner: Owner?

    /// A user and a group.
    package struct Owner: Hashable, Sendable, Codable {
        package let uid: UInt32
        package let gid: UInt32

        package init(uid: UInt32, gid: UInt32) {
            self.uid = uid
            self.gid = gid
        }
    }

    package init(source: UInt64, parent: UInt64, name: [UInt8], owner: Owner?) {
        self.source = source
        self.parent = parent
        self.name = name
        self.owner = owner
    }
}

/// What was cloned, so far or in all.
package struct CloneReport: Hashable, Sendable, Codable {
    /// Regular files, and the bytes that they seem to have.
    package var files: UInt64 = 0
    package var bytes: UInt64 = 0
    package var directories: UInt64 = 0
    /// Links, FIFOs, sockets, devices; further names of files.
    package var others: UInt64 = 0
    /// Bytes that must be placed before anything can be cloned.
    package var placingBytes: UInt64 = 0
    /// Entries that could not be cloned, and the first of them.
    package var failed: UInt64 = 0
    package var failures: [Failure] = []

    /// An entry that could not be cloned.
    package struct Failure: Hashable, Sendable, Codable {
        /// From the clone's own name on.
        package let path: String
        package let reason: String

        package init(path: String, reason: String) {
            self.path = path
            self.reason = reason
        }
    }

    /// Nothing yet.
    package init() {}
}
