extension SourceTree.File {
    /// The modules that the file imports, with the index of the line.
    var imports: [(module: String, line: Int)] {
        let modifiers: Set = [
            "package", "public", "internal", "private", "fileprivate", "@testable",
            "@preconcurrency", "@_exported",
        ]
        let kinds: Set = ["func", "struct", "enum", "class", "protocol", "typealias", "let", "var"]
        return lines.indices.compactMap { index in
            // What is indented is a line of a program in a string.
            guard !lines[index].hasPrefix(" ") else { return nil }
            var words = lines[index].split(separator: " ").map(String.init)[...]
            while let first = words.first, modifiers.contains(first) { words.removeFirst() }
            guard words.first == "import" else { return nil }
            words.removeFirst()
            if let kind = words.first, kinds.contains(kind) { words.removeFirst() }
            guard let path = words.first else { return nil }
            return (String(path.prefix { $0 != "." }), index)
        }
    }

    /// The lines of comment that stand right above the line at `index`; attributes between count
    /// as nothing.
    func commentAbove(_ index: Int) -> String {
        var comment = ""
        for line in lines[..<index].reversed() {
            let text = line.drop { $0 == " " }
            if text.hasPrefix("//") {
                comment = text + "\n" + comment
            } else if !text.hasPrefix("@") {
                break
            }
        }
        return comment
    }

    /// The comment above the line at `index`, and the line below it, where a type's first line may
    /// be the comment on its declaration.
    func commentBeside(_ index: Int) -> String {
        commentAbove(index) + (index + 1 < lines.count ? lines[index + 1] : "")
    }

    /// Whether the line declares a `package` type, or a `package` function that throws, without
    /// documentation.
    ///
    /// A heuristic: one comment serves all overloads of a name, and a function that
    /// cannot fail may have a name that says it all.
    func isUndocumentedDeclaration(_ index: Int) -> Bool {
        let text = lines[index].drop { $0 == " " }
        guard let rest = text.droppingPrefix("package ") else { return false }
        let words = rest.split(separator: " ").map(String.init)
        let modifiers: Set = ["final", "static", "mutating", "indirect", "consuming", "borrowing"]
        guard let kind = words.first(where: { !modifiers.contains($0) }) else { return false }
        switch kind {
        case "struct", "class", "enum", "protocol", "actor", "typealias":
            return !commentAbove(index).contains("///")
        case "func":
            return rest.contains("throws") && !isWitness(rest)
                && !commentAbove(index).contains("///") && !isDocumentedOverload(index, rest)
        default:
            return false
        }
    }

    /// Whether a function of the same name stands above, documented.
    private func isDocumentedOverload(_ index: Int, _ declaration: Substring) -> Bool {
        guard let name = declaration.split(separator: "(").first else { return false }
        return lines[..<index].indices.contains { other in
            lines[other].contains("package \(name)(") && commentAbove(other).contains("///")
        }
    }

    /// Operators and functions that a protocol of the standard library explains.
    private func isWitness(_ declaration: Substring) -> Bool {
        ["func ==", "func <", "func hash(into", "func encode(to", "func next("]
            .contains { declaration.contains($0) }
    }

    /// The places of Markdown links to files that are not there.
    var deadLinks: [String] {
        let folder = path.split(separator: "/").dropLast().map(String.init)
        return lines.indices.flatMap { index in
            lines[index].linkTargets.filter { target in
                guard !target.contains("://"), !target.hasPrefix("#"), !target.hasPrefix("mailto:")
                else { return false }
                let file = target.prefix { $0 != "#" }
                return !SourceTree.exists(Self.resolve(String(file), from: folder))
            }.map { "\(path):\(index + 1): \($0)" }
        }
    }

    private static func resolve(_ target: String, from folder: [String]) -> String {
        var parts = target.hasPrefix("/") ? [] : folder
        for part in target.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }
}

extension String {
    /// Whether the line calls the free function `name`, and not a method of that name.
    func hasCall(_ name: String) -> Bool {
        var rest = self[...]
        while let call = rest.firstRange(of: name + "(") {
            let before = rest[..<call.lowerBound].last
            if before.map({ !$0.isLetter && !$0.isNumber && !"_.`\"".contains($0) }) ?? true {
                // A declaration of that name is no call of it.
                return !rest[..<call.lowerBound].hasSuffix("func ")
            }
            rest = rest[call.upperBound...]
        }
        return false
    }

    /// The targets of the Markdown links on the line: `b` of `[a](b)`.
    fileprivate var linkTargets: [String] {
        var targets: [String] = []
        var rest = self[...]
        while let open = rest.firstRange(of: "](") {
            rest = rest[open.upperBound...]
            guard let close = rest.firstIndex(of: ")") else { break }
            targets.append(String(rest[..<close]))
        }
        return targets
    }
}

extension Substring {
    /// What follows `prefix`, or `nil` if it does not begin with that.
    fileprivate func droppingPrefix(_ prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}
