import FoundationEssentials
import Glibc

/// A table of figures, for people, for documents and for programs.
struct Sheet: Encodable {
    let title: String
    let columns: [String]
    private(set) var rows: [[String]] = []

    init(_ title: String, columns: [String]) {
        self.title = title
        self.columns = columns
    }

    mutating func add(_ cells: String...) { rows.append(cells) }

    /// Columns lined up, the first to the left and the others to the right.
    var text: String {
        let all = [columns] + rows
        let widths = columns.indices.map { column in
            all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        let lines = all.map { row in
            row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + padding : padding + cell
            }.joined(separator: "  ")
        }
        return ([title] + lines).joined(separator: "\n")
    }

    var markdown: String {
        let rule = columns.map { _ in "---" }
        let lines = ([columns, rule] + rows).map { "| " + $0.joined(separator: " | ") + " |" }
        return ([title, ""] + lines).joined(separator: "\n")
    }
}

/// How results are printed.
enum Output {
    static func line(_ text: String = "") {
        print(text)
        fflush(nil)
    }

    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        line(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// The tables, and where the figures come from.
    static func sheets(_ sheets: [Sheet], conditions: Conditions, markdown: Bool) {
        line(conditions.description)
        for sheet in sheets { line("\n" + (markdown ? sheet.markdown : sheet.text)) }
    }
}

extension Double {
    /// Three digits that matter, never an exponent between 0.001 and 10^6.
    var figure: String {
        let size = magnitude
        guard isFinite else { return "\(self)" }
        if size == 0 { return "0" }
        if size < 0.001 {
            let exponent = Int(log10(size).rounded(.down))
            let mantissa = (self / pow(10, Double(exponent)) * 10).rounded() / 10
            return "\(mantissa)e\(exponent)"
        }
        if size >= 1000 { return Int64(rounded()).grouped }
        let digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4
        let power = pow(10.0, Double(digits))
        let value = (self * power).rounded() / power
        return digits == 0 ? "\(Int(value))" : "\(value)"
    }
}

extension BinaryInteger {
    /// "1,234,567".
    var grouped: String {
        var text = ""
        for (index, digit) in String(magnitude).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return (self < 0 ? "-" : "") + String(text.reversed())
    }
}
