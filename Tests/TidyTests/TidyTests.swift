import Testing

/// The rules of the tree that no compiler checks.
///
/// Each test lists every place that breaks its rule.
@Suite struct TidyTests {
    /// Modules without any effect: nothing of Foundation, no clock, no randomness of their own.
    static let pure: Set = [
        "Primitives", "Wire", "Erasure", "Placement", "Proofs", "Reliability", "Lease",
        "Simulation",
    ]
    /// Modules that may use FoundationEssentials, and only for JSON.
    static let mayUseJSON: Set = ["Proofs", "Network", "Control", "Home", "mefs", "mefs-lab"]
    /// What a pure module does not say. (Glibc itself is allowed, for its mathematics.)
    static let impure = [
        "ContinuousClock", "clock_gettime", "SystemRandomNumber", "getrandom", ".random(in",
        " async ", " await ", "fopen(", " open(", "getenv(",
    ]
    static let columnsMax = 100
    /// Programs whose standard output is what they are for.
    static let programs: Set = ["mefs", "mefs-lab"]

    @Test func theTreeIsFound() {
        #expect(SourceTree.exists("Package.swift"))
        #expect(SourceTree.sources.count > 20)
        #expect(!SourceTree.sources.contains { $0.path.hasPrefix(".build") })
    }

    @Test func linesFitTheScreen() {
        let long = SourceTree.swift.flatMap { file in
            file.lines.indices.filter { file.lines[$0].count > Self.columnsMax }.map(file.place)
        }
        expectNone(long, "break these lines: over \(Self.columnsMax) columns")
    }

    @Test func onlyTheCommandLinePrints() {
        let quiet = SourceTree.sources.filter { !Self.programs.contains($0.target) }
        let places = quiet.flatMap { file in
            file.places { $0.hasCall("print") || $0.hasCall("debugPrint") || $0.hasCall("dump") }
        }
        expectNone(places, "log through a Logger instead of printing")
    }

    @Test func nothingIsLeftForLater() {
        let marks = ["FIX" + "ME", "TO" + "DO", "XX" + "X:"]
        let places = SourceTree.swift.flatMap { file in
            file.lines.indices.filter { index in
                marks.contains { file.lines[index].contains($0) }
            }.map(file.place)
        }
        expectNone(places, "do it, or describe the limit in the documentation")
    }

    @Test func foundationStaysOut() {
        let places = SourceTree.sources.flatMap { file in
            file.imports.filter { imported in
                switch imported.module {
                case "Foundation", "Dispatch", "FoundationNetworking": true
                case "FoundationEssentials": !Self.mayUseJSON.contains(file.target)
                default: false
                }
            }.map { file.place($0.line) }
        }
        expectNone(places, "use Glibc and our own types; FoundationEssentials is for JSON only")
    }

    @Test func pureModulesStayPure() {
        let places = SourceTree.sources.filter { Self.pure.contains($0.target) }.flatMap { file in
            file.imports.filter { ["Disk", "Logging"].contains($0.module) }
                .map { file.place($0.line) }
                + file.places { line in Self.impure.contains { line.contains($0) } }
        }
        expectNone(places, "pure modules take time and randomness as arguments")
    }

    @Test func importsFollowTheGraph() throws {
        let graph = PackageGraph(manifest: try #require(SourceTree.read("Package.swift")))
        #expect(graph.targets.isSuperset(of: ["Wire", "Volume", "Mount", "mefs", "WireTests"]))
        let places = SourceTree.swift.flatMap { file in
            file.imports.filter { !graph.allows(file.target, toImport: $0.module) }
                .map { file.place($0.line) }
        }
        expectNone(places, "list the module in Package.swift, if the layers allow it")
    }

    @Test func uncheckedSharingSaysWhyItIsSafe() {
        let words = ["@unchecked " + "Sendable", "nonisolated" + "(unsafe)"]
        let places = SourceTree.swift.flatMap { file in
            file.lines.indices.filter { index in
                !file.lines[index].isComment && words.contains { file.lines[index].contains($0) }
                    && !file.commentBeside(index).contains("// SAFETY:")
            }.map(file.place)
        }
        expectNone(places, "say in a '// SAFETY:' comment beside it what makes it so")
    }

    @Test func nothingIsForced() {
        let places = SourceTree.sources.flatMap { file in
            file.places { $0.contains("try! ") || $0.contains(" as! ") }
        }
        expectNone(places, "throw, or bind with guard")
    }

    @Test func sharedDeclarationsAreDocumented() {
        let places = SourceTree.sources.flatMap { file in
            file.lines.indices.filter { file.isUndocumentedDeclaration($0) }.map(file.place)
        }
        expectNone(places, "write a '///' comment: what its name does not say")
    }

    @Test func linksLeadSomewhere() {
        let pages =
            SourceTree.files(in: ["docs", "seeds", "Sources", "Mount"], endingIn: [".md"])
            + ["README.md"].compactMap { path in
                SourceTree.read(path).map { SourceTree.File(path: path, lines: $0) }
            }
        #expect(pages.count >= 3)
        expectNone(pages.flatMap(\.deadLinks), "mend these links")
    }

    @Test func everyPromiseHasOneTest() {
        #expect(Promises.onPage.count > 50)
        let promised = Dictionary(grouping: Promises.onPage, by: \.id)
        let proved = Dictionary(grouping: Promises.inTests, by: \.id)
        let unproved = Promises.onPage.filter { proved[$0.id] == nil }.map(\.place)
        expectNone(unproved, "write a test for these promises, named by their ids")
        let unpromised = Promises.inTests.filter { promised[$0.id] == nil }.map(\.place)
        expectNone(unpromised, "write on \(Promises.page) what these tests prove")
        let twice = [promised, proved].flatMap { $0.values.filter { $0.count > 1 }.joined() }
        expectNone(twice.map(\.place), "give each promise an id and one test of its own")
        expectNone(Promises.testsWithoutID, "name these tests by the ids of what they prove")
    }

    private func expectNone(
        _ places: [String],
        _ advice: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            places.isEmpty,
            "\(advice)\n\(places.joined(separator: "\n"))",
            sourceLocation: sourceLocation
        )
    }
}
