import Primitives

/// What an inode number means of which the live volume has none: numbers from 2^48 on.
///
/// Bits 48 to 62 are the number of a snapshot in this mount, the lower 48 its own inode number.
enum SnapshotInode: Hashable {
    /// `.mefs` in the root.
    case hidden
    /// `.mefs/snapshots`.
    case list
    /// An inode of the snapshot of that number.
    case inode(UInt16, InodeNumber)

    private static let shift: UInt64 = 48
    /// The largest inode number of a volume that can be shown in a snapshot.
    static let inodeMax: UInt64 = 1 << shift - 1
    /// Numbers of snapshots; a positive `ino_t` has no larger ones, and the last is that of the
    /// directories above them.
    static let numbers: ClosedRange<UInt16> = 1...0x7ffe
    private static let directories: UInt64 = 0x7fff

    /// Whether a number is none of the live volume: the one comparison that each request costs.
    static func contains(_ ino: InodeNumber) -> Bool { ino.rawValue >> shift != 0 }

    /// What the number means; `nil` if it is of the live volume, or of nothing.
    init?(_ ino: InodeNumber) {
        let (number, inode) = (ino.rawValue >> Self.shift, ino.rawValue & Self.inodeMax)
        switch (number, inode) {
        case (Self.directories, 1): self = .hidden
        case (Self.directories, 2): self = .list
        default:
            guard let number = UInt16(exactly: number), Self.numbers.contains(number) else {
                return nil
            }
            self = .inode(number, InodeNumber(inode))
        }
    }

    /// The number that the kernel knows.
    var number: InodeNumber {
        switch self {
        case .hidden: InodeNumber(Self.directories << Self.shift | 1)
        case .list: InodeNumber(Self.directories << Self.shift | 2)
        case .inode(let number, let ino):
            InodeNumber(UInt64(number) << Self.shift | ino.rawValue & Self.inodeMax)
        }
    }
}
