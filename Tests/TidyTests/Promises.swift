/// The promises of docs/semantics.md and the tests that prove them, each named by an id such as
/// `fsync-2`.
///
/// On the page an id stands in bold at the beginning of a list item; a test has it as its name, or
/// as the beginning of its name before a colon.
enum Promises {
    static let page = "docs/semantics.md"
    /// All tests here prove a promise.
    static let home = "Tests/MountTests/Semantics"
    /// Tests here may.
    private static let others = ["Tests/VolumeTests", "Tests/TrialsTests"]

    /// An id, and the place that says it.
    struct Mention {
        let id: String
        let place: String
    }

    static let onPage: [Mention] = mentions(
        in: SourceTree.read(page).map { [SourceTree.File(path: page, lines: $0)] } ?? [],
        after: "- **",
        before: ["**"]
    )

    static let inTests: [Mention] = mentions(
        in: SourceTree.files(in: [home] + others, endingIn: [".swift"]),
        after: "@Test(\"",
        before: ["\"", ":"]
    )

    /// Places of tests in `home` that have no id.
    static let testsWithoutID: [String] =
        SourceTree.files(in: [home], endingIn: [".swift"]).flatMap { file in
            file.lines.indices.filter { index in
                file.lines[index].contains("@Test")
                    && id(in: file.lines[index], after: "@Test(\"", before: ["\"", ":"]) == nil
            }.map(file.place)
        }

    private static func mentions(
        in files: [SourceTree.File],
        after start: String,
        before ends: [String]
    ) -> [Mention] {
        files.flatMap { file in
            file.lines.indices.compactMap { index in
                id(in: file.lines[index], after: start, before: ends)
                    .map { Mention(id: $0, place: file.place(index)) }
            }
        }
    }

    /// What stands between `start` and the first of `ends`, if it has the form of an id: words
    /// of small letters, a hyphen, a number.
    private static func id(in line: String, after start: String, before ends: [String]) -> String? {
        let line = line.drop { $0 == " " }
        guard line.hasPrefix(start) else { return nil }
        let rest = line.dropFirst(start.count)
        guard let end = ends.compactMap({ rest.firstRange(of: $0)?.lowerBound }).min() else {
            return nil
        }
        let parts = rest[..<end].split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[0].allSatisfy({ ("a"..."z") ~= $0 }),
            !parts[1].isEmpty, parts[1].allSatisfy({ ("0"..."9") ~= $0 })
        else { return nil }
        return String(rest[..<end])
    }
}
