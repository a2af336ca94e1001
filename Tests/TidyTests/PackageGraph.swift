/// What Package.swift says each target may import: its own lists, read as text.
///
/// A target's entry begins on a line with one of `calls`; the first quoted text from there is its
/// name, the others until the next entry are what it lists.
struct PackageGraph {
    private var listed: [String: Set<String>] = [:]

    private static let calls = [
        "module(", "tests(", ".target(", ".executableTarget(", ".testTarget(",
    ]
    /// Modules of the toolchain.
    ///
    /// FoundationEssentials has a rule of its own.
    private static let everywhere: Set = [
        "Swift", "Glibc", "Synchronization", "Testing", "FoundationEssentials",
    ]
    /// Lists of the manifest that go by a variable's name, and the modules they stand for.
    private static let variables: [String: Set<String>] = [
        "nio": ["NIOCore", "NIOPosix", "NIOSSL", "NIOTLS"],
        "log": ["Logging"],
        "arguments": ["ArgumentParser"],
    ]

    init(manifest: [String]) {
        let start = manifest.firstIndex { $0.drop { $0 == " " } == "targets: [" } ?? 0
        var isTests = false
        var name: String?
        for line in manifest[start...] where !line.isComment {
            let text = line.drop { $0 == " " }
            if let call = Self.calls.first(where: text.hasPrefix) {
                isTests = call == "tests("
                name = nil
            }
            var quoted = Self.quoted(line)
            if name == nil, let first = quoted.first {
                quoted.removeFirst()
                name = isTests ? first + "Tests" : first
                listed[name ?? "", default: []] = isTests ? [first] : []
            }
            guard let name else { continue }
            listed[name]?.formUnion(quoted)
            for word in Self.words(line) { listed[name]?.formUnion(Self.variables[word] ?? []) }
        }
    }

    var targets: Set<String> { Set(listed.keys) }

    /// Whether `target` may import `module`.
    ///
    /// Shipped targets may import what they list; tests also
    /// what that needs in turn, since they look at its results.
    func allows(_ target: String, toImport module: String) -> Bool {
        if Self.everywhere.contains(module) || target == module { return true }
        let direct = listed[target] ?? []
        let reached = target.hasSuffix("Tests") ? closure(of: direct) : direct
        return reached.contains(module)
    }

    private func closure(of names: Set<String>) -> Set<String> {
        var all = names
        var rest = Array(names)
        while let name = rest.popLast() {
            for next in listed[name] ?? [] where all.insert(next).inserted { rest.append(next) }
        }
        return all
    }

    /// The texts between double quotes.
    private static func quoted(_ line: String) -> [String] {
        line.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element) }
    }

    /// The bare words outside of double quotes.
    private static func words(_ line: String) -> [String] {
        line.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset.isMultiple(of: 2) }
            .flatMap { $0.element.split { !$0.isLetter && $0 != "." && $0 != ":" } }
            .map(String.init)
    }
}
