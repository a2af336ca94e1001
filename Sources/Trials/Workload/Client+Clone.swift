import Disk
import Metadata
import Primitives
import Volume

/// Clones of files: what they have is what their sources had, and goes its own way from then on.
extension Client {
    func clone() throws(TrialFailure) {
        guard let source = pick(model.state.withLock { $0.files }) else { return }
        // Both at once: the source is not to change, and the name not to be taken.
        let claim = Model.Claim(names: true, inodes: [source])
        model.take(claim)
        defer { model.give(claim) }
        guard !life.isDown else { return }
        let now = model.state.withLock { $0 }
        guard let operation = cloning(of: source, now) else { return }
        let states = operation.expected.states.mapValues { Optional($0) }
        let bytes = now.nodes[source]?.content.latest ?? []
        let number = model.state.withLock { state in
            let number = state.begin(operation.text, state.refresh(states, after: now))
            if let made = operation.made {
                state.nodes[made]?.content = ContentHistory(bytes)
            }
            return number
        }
        model.note("\(self.number): \(number) \(operation.text)")
        switch ask({ () throws(FileSystemError) in try operation.run(engine) }) {
        case .down: return
        case .failed(let error):
            let isBusy = error.code == .busy && !life.isCalm
            guard error.code == operation.expected.code || isBusy || isWeather(error) else {
                throw fail(operation.text, error)
            }
            model.note("\(self.number): \(number) failed: \(error.code)")
            model.state.withLock { $0.cancel(number, states.keys) }
        case .done(let made):
            if let code = operation.expected.code {
                throw TrialFailure("\(operation.text): succeeded, expected \(code)")
            }
            let fresh = model.state.withLock { $0.refresh(states, after: now) }
            try settle(number, operation, fresh, made: made)
        }
    }

    /// `nil` if the volume is full, or the bytes of the source are in doubt.
    private func cloning(of source: InodeNumber, _ state: Model.State) -> NameOperation? {
        guard let before = state.state(source), before.linkCount > 0,
            let parent = pick(state.directories), let name = anyName(),
            state.named.count < Self.filesMax + Self.directoriesMax,
            roomLeft(0) >= Int(before.size),
            state.nodes[source]?.content.isSure(0..<Int(before.size)) == true,
            var directory = state.state(parent)
        else { return nil }
        let placeholder = InodeNumber.placeholder(state.lastOperation)
        var made = before
        made.linkCount = 1
        var expected = Expectation(code: .exists)
        if directory.children[name] == nil {
            directory.children[name] = placeholder
            expected = Expectation(states: [parent: directory, placeholder: made])
        }
        return NameOperation(
            text: "clone \(source.rawValue) as \(name) in \(parent.rawValue)",
            expected: expected,
            made: placeholder,
            parent: parent
        ) { engine throws(FileSystemError) in
            try engine.clone(source, of: engine.cloneSource(), named: name, in: parent)
        }
    }
}
