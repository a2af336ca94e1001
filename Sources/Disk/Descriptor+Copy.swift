import CLinux
import Glibc

extension Descriptor {
    /// Bytes copied by one system call.
    private static let copyBytesMax = 64 << 20
    private static let simulatedBytesMax = 1 << 20

    /// Copies the whole file to the beginning of another; filesystems that can share what is equal
    /// do (`man 2 copy_file_range`).
    package func copyAll(to other: Descriptor) throws(DiskError) {
        let size = try size()
        var done: UInt64 = 0
        while done < size {
            let count = try copy(at: done, to: other)
            guard count > 0 else { return }
            done += UInt64(count)
        }
    }

    private func copy(at offset: UInt64, to other: Descriptor) throws(DiskError) -> Int {
        if simulated != nil {
            let bytes = try read(at: offset, count: Self.simulatedBytesMax)
            try other.write(at: offset, bytes)
            return bytes.count
        }
        return Int(
            try systemCall("copy", path) {
                clinux_copy_range(
                    fd,
                    Int64(clamping: offset),
                    other.fd,
                    Int64(clamping: offset),
                    Self.copyBytesMax
                )
            }
        )
    }
}
