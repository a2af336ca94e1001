/// Progress of a long command: one line redrawn on a terminal, else a line now and then.
struct ProgressBar {
    /// Between two lines in a log; a terminal is redrawn at every call.
    private static let plainInterval: Duration = .seconds(5)
    /// Cells of the bar itself.
    private static let cells = 30

    private let isTerminal: Bool
    private let clock = ContinuousClock()
    private var lastPlain: ContinuousClock.Instant?
    private var isDrawn = false

    init(isTerminal: Bool) { self.isTerminal = isTerminal }

    /// Shows `fraction` (0...1) done, followed by `text`.
    mutating func show(fraction: Double, _ text: String) {
        let fraction = max(0, min(1, fraction.isFinite ? fraction : 0))
        let percent = "\(Int(fraction * 100))%"
        guard isTerminal else { return showPlain("\(percent) \(text)") }
        let full = Int(fraction * Double(Self.cells))
        let bar =
            String(repeating: "█", count: full)
            + String(repeating: "░", count: Self.cells - full)
        let line = "\(bar) \(percent) \(text)"
        Output.raw("\r\u{1B}[K" + String(line.prefix(Output.columns - 1)))
        isDrawn = true
    }

    private mutating func showPlain(_ line: String) {
        let now = clock.now
        if let lastPlain, now - lastPlain < Self.plainInterval { return }
        lastPlain = now
        Output.line(line)
    }

    /// Takes the bar off the terminal.
    mutating func clear() {
        if isDrawn { Output.raw("\r\u{1B}[K") }
        isDrawn = false
    }
}
