import Disk
import Glibc

/// The directory that holds all state of one user's volumes and of the embedded network:
/// `docs/home.md`.
package struct Home: Hashable, Sendable {
    /// An absolute path.
    package let path: String

    /// Finds the directory: `MEFS_HOME`, or `/var/lib/mefs` for the superuser, or
    /// `XDG_DATA_HOME/mefs`, or `HOME/.local/share/mefs`.
    ///
    /// - Throws: `usage` if none of the variables is set.
    package init(
        environment: [String: String] = Home.processEnvironment,
        isSuperuser: Bool = geteuid() == 0
    ) throws(HomeError) {
        // An empty variable counts as not set, as the XDG specification has it.
        func value(_ name: String) -> String? {
            environment[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        let path: String
        if let chosen = value("MEFS_HOME") {
            path = chosen
        } else if isSuperuser {
            path = "/var/lib/mefs"
        } else if let data = value("XDG_DATA_HOME"), data.hasPrefix("/") {
            path = data + "/mefs"
        } else if let user = value("HOME") {
            path = user + "/.local/share/mefs"
        } else {
            throw HomeError(.usage, "neither MEFS_HOME nor HOME is set; set MEFS_HOME=DIR")
        }
        try self.init(path: path)
    }

    /// Takes `path`, which need not exist; a relative one is below the working directory.
    package init(path: String) throws(HomeError) {
        var absolute = path
        if !path.hasPrefix("/") {
            guard let directory = getcwd(nil, 0) else {
                throw HomeError(.usage, "the working directory is gone; give an absolute MEFS_HOME")
            }
            defer { free(directory) }
            absolute = String(cString: directory) + "/" + path
        }
        while absolute.utf8.count > 1, absolute.hasSuffix("/") { absolute.removeLast() }
        self.path = absolute
    }

    package var volumesPath: String { path + "/volumes" }
    package var localNetworkPath: String { path + "/networks/local" }

    /// Where the volume of that name is or would be.
    package func path(ofVolume name: String) -> String { volumesPath + "/" + name }

    /// The variables this process was started with.
    package static var processEnvironment: [String: String] {
        var variables: [String: String] = [:]
        // Nothing of ours changes the environment, so it can be walked without a lock.
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1)
            if let name = parts.first {
                variables[String(name)] = parts.count > 1 ? String(parts[1]) : ""
            }
            entry += 1
        }
        return variables
    }
}
