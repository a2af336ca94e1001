import Glibc

/// The files of the repository, as the rules of the tree see them.
enum SourceTree {
    /// A text file: its path from the repository's root, and its lines.
    struct File: Sendable {
        let path: String
        let lines: [String]
    }

    /// The repository's root: three folders above this file.
    static let root: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    /// All files below `folders` whose names end in one of `suffixes`, sorted by path.
    static func files(in folders: [String], endingIn suffixes: [String]) -> [File] {
        var paths: [String] = []
        for folder in folders { collect(folder, into: &paths) }
        return paths.filter { path in suffixes.contains { path.hasSuffix($0) } }
            .sorted()
            .compactMap { path in read(path).map { File(path: path, lines: $0) } }
    }

    /// The Swift sources that are shipped.
    static let sources = files(in: ["Sources", "Mount"], endingIn: [".swift"])
    /// All Swift files.
    static let swift = files(in: ["Sources", "Mount", "Tests"], endingIn: [".swift"])

    /// The lines of the file at `path`, or `nil` if it is not there.
    static func read(_ path: String) -> [String]? {
        guard let stream = fopen(root + "/" + path, "r") else { return nil }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, stream)
            guard count > 0 else { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// Whether a file or folder stands at `path`, from the root.
    static func exists(_ path: String) -> Bool { access(root + "/" + path, F_OK) == 0 }

    private static func collect(_ folder: String, into paths: inout [String]) {
        guard let directory = opendir(root + "/" + folder) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix(".") else { continue }
            let path = folder + "/" + name
            if entry.pointee.d_type == UInt8(DT_DIR) {
                collect(path, into: &paths)
            } else if entry.pointee.d_type == UInt8(DT_REG) {
                paths.append(path)
            }
        }
    }
}

extension SourceTree.File {
    /// The target the file belongs to: "Wire", "Mount", "mefs", "WireTests".
    var target: String {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count > 2 else { return "" }
        return switch (parts[0], parts[1]) {
        case ("Mount", "Driver"): "Mount"
        case ("Mount", "Main"): "MountMain"
        case ("Sources", "CLI"): "mefs"
        case ("Sources", "Lab"): "mefs-lab"
        default: parts[1]
        }
    }

    /// "path:line: text" for the line at `index`.
    func place(_ index: Int) -> String {
        "\(path):\(index + 1): \(lines[index].drop { $0 == " " })"
    }

    /// The places of all lines that `rule` is true of; comments are passed over.
    func places(where rule: (String) -> Bool) -> [String] {
        lines.indices.filter { !lines[$0].isComment && rule(lines[$0]) }.map(place)
    }
}

extension String {
    /// Whether the line is nothing but a comment.
    var isComment: Bool { drop { $0 == " " }.hasPrefix("//") }
}
