import Disk
import FUSE
import Glibc

/// A privilege of a process (`man 7 capabilities`), by its number.
enum Capability: UInt64 {
    /// List and search any directory.
    case dacReadSearch = 2
    /// Do with any file what its owner may.
    case fowner = 3
    /// Keep set-id bits of a file that is changed.
    case fsetid = 4
    /// Among much else see `trusted.` attributes.
    case sysAdmin = 21
}

/// What the kernel does not say of a caller in a request, asked of `/proc`: some 30 µs.
///
/// A caller that `/proc` does not show has every privilege if it is the superuser, and no groups
/// but the one in its request.
extension Caller {
    /// Whether the caller has the capability, in the user namespace that this process is in.
    func has(_ capability: Capability) -> Bool {
        guard let text = status("CapEff"), let bits = UInt64(text, radix: 16) else {
            return uid == 0
        }
        return bits >> capability.rawValue & 1 == 1 && isInOurUserNamespace
    }

    /// Whether the caller is of the group.
    func isMember(of group: UInt32) -> Bool {
        if gid == group { return true }
        guard let text = status("Groups") else { return false }
        return text.split(separator: " ").contains { UInt32($0) == group }
    }

    /// A line of `/proc/PID/status`, without its title.
    private func status(_ title: String) -> Substring? {
        guard pid > 0, let bytes = try? WholeFile.read("/proc/\(pid)/status") else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("\(title):\t") }) else { return nil }
        return line.dropFirst(title.utf8.count + 2)
    }

    private var isInOurUserNamespace: Bool {
        var theirs = stat()
        var ours = stat()
        guard stat("/proc/\(pid)/ns/user", &theirs) == 0, stat("/proc/self/ns/user", &ours) == 0
        else { return uid == 0 }
        return theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev
    }
}
