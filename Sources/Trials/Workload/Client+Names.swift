import Disk
import Metadata
import Primitives
import Volume

/// Operations on names.
extension Client {
    /// What an operation on names should do: fail with `code`, or bring `states`.
    struct Expectation {
        var code: FileSystemError.Code?
        var states: [InodeNumber: NodeState] = [:]
    }

    private static let names: [EntryName] = (0..<14).compactMap {
        try? EntryName(Array("n\($0)".utf8))
    }

    /// Makes a file, directory or symbolic link.
    func create(_ kind: Kind) throws(TrialFailure) {
        try changeNames { client, state in
            guard let parent = client.pick(state.directories), let name = client.anyName() else {
                return nil
            }
            let isDirectory = kind == .makeDirectory
            if isDirectory, state.directories.count >= Self.directoriesMax { return nil }
            if !isDirectory, state.named.count >= Self.filesMax + Self.directoriesMax {
                return nil
            }
            let target = Array("target of \(state.lastOperation)".utf8)
            let new = NewInode(
                kind: isDirectory ? .directory : kind == .symlink ? .symbolicLink : .regular,
                mode: isDirectory ? 0o755 : 0o640,
                uid: 1000,
                gid: 100,
                target: kind == .symlink ? target : []
            )
            let placeholder = InodeNumber.placeholder(state.lastOperation)
            return NameOperation(
                text: "\(kind) \(name) in \(parent.rawValue)",
                expected: state.create(new, name, in: parent, as: placeholder),
                made: placeholder,
                parent: parent
            ) { engine throws(FileSystemError) in
                try engine.create(new, named: name, in: parent)
            }
        }
    }

    func link() throws(TrialFailure) {
        try changeNames { client, state in
            let others = state.named.filter { state.state($0)?.kind != .directory }
            guard let ino = client.pick(others), let parent = client.pick(state.directories),
                let name = client.anyName()
            else { return nil }
            return NameOperation(
                text: "link \(ino.rawValue) as \(name) in \(parent.rawValue)",
                inodes: [ino],
                expected: state.link(ino, name, in: parent)
            ) { engine throws(FileSystemError) in
                _ = try engine.link(ino, as: name, in: parent)
                return nil
            }
        }
    }

    /// Removes a name of a file or an empty directory.
    func remove(_ kind: Kind) throws(TrialFailure) {
        try changeNames { client, state in
            guard let parent = client.pick(state.directories),
                let name = client.anyName(in: parent, state)
            else { return nil }
            let ino = state.state(parent)?.children[name]
            let isFile = kind == .unlink
            return NameOperation(
                text: "\(kind) \(name) in \(parent.rawValue)",
                inodes: ino.map { [$0] } ?? [],
                expected: state.remove(name, in: parent, isDirectory: !isFile)
            ) { engine throws(FileSystemError) in
                if isFile {
                    try engine.unlink(name, in: parent)
                } else {
                    try engine.removeDirectory(name, in: parent)
                }
                return nil
            }
        }
    }

    func rename(_ kind: Kind) throws(TrialFailure) {
        try changeNames { client, state in
            guard let parent = client.pick(state.directories),
                let name = client.anyName(in: parent, state),
                let newParent = client.pick(state.directories),
                let newName = client.anyName()
            else { return nil }
            let isCareful = Int.random(in: 0..<4, using: &client.random) == 0
            let mode: RenameMode =
                kind == .exchange ? .exchange : isCareful ? .noReplace : .replace
            let ends =
                [state.state(parent)?.children[name]]
                + [state.state(newParent)?.children[newName]]
            return NameOperation(
                text: "rename (\(mode)) \(name) in \(parent.rawValue) to \(newName) in"
                    + " \(newParent.rawValue)",
                inodes: ends.compactMap { $0 },
                expected: state.rename(name, in: parent, to: newName, in: newParent, mode)
            ) { engine throws(FileSystemError) in
                try engine.rename(
                    name,
                    in: parent,
                    to: newName,
                    in: newParent,
                    mode: mode,
                    wait: .allowed
                )
                return nil
            }
        }
    }

    // MARK: Parts

    /// An operation on names that was chosen.
    struct NameOperation {
        let text: String
        /// What else it changes than directories.
        var inodes: [InodeNumber] = []
        let expected: Expectation
        /// The placeholder of the inode that it makes.
        var made: InodeNumber?
        var parent = InodeNumber.root
        let run: (VolumeEngine) throws(FileSystemError) -> Attributes?
    }

    /// Chooses an operation with the names held, and does it on the engine and the model.
    private func changeNames(
        _ choose: (Client, Model.State) -> NameOperation?
    ) throws(TrialFailure) {
        let names = Model.Claim(names: true)
        model.take(names)
        defer { model.give(names) }
        // A copy, since the choice draws from the seed.
        let now = model.state.withLock { $0 }
        guard !life.isDown, let first = choose(self, now) else { return }
        let inodes = Model.Claim(inodes: Array(Set(first.inodes)).sorted())
        model.take(inodes)
        defer { model.give(inodes) }
        guard !life.isDown else { return }
        // What was expected may count links that changed while the inodes were waited for: only
        // operations on names change these, so only sizes and times can differ.
        let operation = first
        let states = operation.expected.states.mapValues { Optional($0) }
        let (number, fresh) = model.state.withLock { state in
            let fresh = state.refresh(states, after: now)
            return (state.begin(operation.text, fresh), fresh)
        }
        model.note("\(self.number): \(number) \(operation.text)")
        switch ask({ () throws(FileSystemError) in try operation.run(engine) }) {
        case .down: return
        case .failed(let error):
            guard error.code == operation.expected.code else {
                throw TrialFailure(
                    "\(operation.text): \(error.code) (\(error.message)), expected"
                        + " \(operation.expected.code.map { "\($0)" } ?? "success")"
                )
            }
            model.state.withLock { $0.cancel(number, fresh.keys) }
        case .done(let made):
            if let code = operation.expected.code {
                throw TrialFailure("\(operation.text): succeeded, expected \(code)")
            }
            try settle(number, operation, fresh, made: made)
        }
    }

    /// Compares what an operation left with what was expected, and takes over its times.
    func settle(
        _ number: Int,
        _ operation: NameOperation,
        _ states: [InodeNumber: NodeState?],
        made: Attributes?
    ) throws(TrialFailure) {
        for (ino, state) in states.sorted(by: { $0.key < $1.key }) {
            guard var state, state.linkCount > 0 else { continue }
            let real = ino == operation.made ? made?.ino ?? ino : ino
            switch ask({ () throws(FileSystemError) in try engine.attributes(of: real) }) {
            case .down: return
            case .failed(let error): throw fail("attributes after \(operation.text)", error)
            case .done(let attributes):
                if let difference = state.difference(to: attributes) {
                    throw TrialFailure("\(operation.text): of \(real.rawValue) \(difference)")
                }
                state.adopt(attributes)
                if let placeholder = operation.made, let made {
                    for (name, child) in state.children where child == placeholder {
                        state.children[name] = made.ino
                    }
                }
                model.state.withLock { $0.settle(number, ino, state) }
            }
        }
        model.state.withLock { state in
            if let placeholder = operation.made, let made {
                state.nodes[made.ino] = state.nodes.removeValue(forKey: placeholder)
            }
            state.end(number)
        }
    }

    func anyName() -> EntryName? { pick(Self.names) }

    /// Mostly one that is there.
    private func anyName(in parent: InodeNumber, _ state: Model.State) -> EntryName? {
        let there = state.state(parent)?.children.keys.sorted { $0.description < $1.description }
        if let there, !there.isEmpty, Int.random(in: 0..<12, using: &random) > 0 {
            return pick(there)
        }
        return anyName()
    }

    /// Compares a listing with the model.
    func list() throws(TrialFailure) {
        let names = Model.Claim(names: true)
        model.take(names)
        defer { model.give(names) }
        guard let directory = pick(model.state.withLock { $0.directories }) else { return }
        let expected = model.state.withLock { $0.state(directory)?.children ?? [:] }
        var found: [EntryName: InodeNumber] = [:]
        var cookie: UInt64 = 0
        while true {
            let limit = Int.random(in: 1...9, using: &random)
            let page = ask { () throws(FileSystemError) in
                try engine.readDirectory(directory, after: cookie, limit: limit)
            }
            switch page {
            case .down: return
            case .failed(let error): throw fail("list \(directory.rawValue)", error)
            case .done(let entries):
                for entry in entries { found[entry.name] = entry.attributes.ino }
                guard let last = entries.last else {
                    guard found == expected else {
                        throw TrialFailure(
                            "listing \(directory.rawValue): \(found), expected \(expected)"
                        )
                    }
                    return
                }
                cookie = last.cookie
            }
        }
    }
}
