import CLinux
import Disk
import Glibc

/// Unix sockets by path.
///
/// A socket's address holds 107 bytes of path; longer ones are reached through a descriptor of
/// their directory, as `/proc/self/fd/N/NAME`.
enum UnixSocket {
    static func listen(at path: String, backlog: Int32) throws(DiskError) -> Descriptor {
        let descriptor = try make(path)
        try withAddress(of: path) { (address, size) throws(DiskError) in
            try check("bind", path, bind(descriptor.fd, address, size))
        }
        try check("listen at", path, Glibc.listen(descriptor.fd, backlog))
        return descriptor
    }

    static func connect(to path: String) throws(DiskError) -> Descriptor {
        let descriptor = try make(path)
        try withAddress(of: path) { (address, size) throws(DiskError) in
            try check("connect to", path, Glibc.connect(descriptor.fd, address, size))
        }
        return descriptor
    }

    /// The next connection, with the user at its other end; `nil` once `listener` is shut down.
    static func accept(from listener: Descriptor) throws(DiskError) -> (Descriptor, uid: UInt32)? {
        while true {
            let fd = clinux_accept(listener.fd)
            if fd >= 0 {
                let descriptor = Descriptor(adopting: fd, path: listener.path)
                var pid: Int32 = 0
                var uid: UInt32 = 0
                try check("ask", listener.path, clinux_peer_credentials(fd, &pid, &uid))
                return (descriptor, uid)
            }
            let code = errno
            switch code {
            case EINTR, ECONNABORTED: continue
            case EINVAL: return nil
            default: throw DiskError("accept at", listener.path, errno: code)
            }
        }
    }

    /// Lets sends and receives wait no longer than `timeout`.
    static func limitWaiting(_ descriptor: Descriptor, to timeout: Duration) {
        var limit = timeval(tv_sec: Int(timeout.components.seconds), tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    private static func make(_ path: String) throws(DiskError) -> Descriptor {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let fd = socket(AF_UNIX, type, 0)
        try check("make a socket for", path, fd)
        return Descriptor(adopting: fd, path: path)
    }

    private static func check(
        _ operation: String,
        _ path: String,
        _ result: Int32
    ) throws(DiskError) {
        if result < 0 { throw DiskError(operation, path, errno: errno) }
    }

    private static func withAddress(
        of path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(DiskError) -> Void
    ) throws(DiskError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard path.utf8.count > room else {
            return try withAddress(&address, holding: path, body)
        }
        let directory = try Descriptor(
            opening: Directory.parent(of: path),
            .readOnly,
            .directory
        )
        let name = path.split(separator: "/").last ?? ""
        let short = "/proc/self/fd/\(directory.fd)/\(name)"
        guard short.utf8.count <= room else { throw DiskError("bind", path, errno: ENAMETOOLONG) }
        try withExtendedLifetime(directory) { () throws(DiskError) in
            try withAddress(&address, holding: short, body)
        }
    }

    private static func withAddress(
        _ address: inout sockaddr_un,
        holding path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(DiskError) -> Void
    ) throws(DiskError) {
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        var failure: DiskError?
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                do throws(DiskError) {
                    try body(pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
    }
}
