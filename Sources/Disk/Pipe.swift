import CLinux

/// The two ends of a pipe, both close-on-exec.
package struct Pipe: Sendable {
    package let reading: Descriptor
    package let writing: Descriptor

    package init() throws(DiskError) {
        var ends: [Int32] = [-1, -1]
        try systemCall("make", "a pipe") { clinux_pipe(&ends) }
        reading = Descriptor(adopting: ends[0], path: "pipe")
        writing = Descriptor(adopting: ends[1], path: "pipe")
    }
}
