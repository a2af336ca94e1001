package import Primitives

/// An entry that was removed: what it led to and how many names are left.
package struct Unlinked: Hashable, Sendable {
    package let ino: InodeNumber
    package let kind: FileKind
    /// 0 if the inode is now an orphan, to be reaped when nobody has it open.
    package let linkCount: UInt32
}
