import Disk
import Primitives
import Volume

/// One thread that uses the volume: operations of the seed's choice, each compared with the model.
final class Client {
    /// What an operation may be.
    enum Kind: CaseIterable {
        case create, makeDirectory, symlink, link, unlink, removeDirectory, rename, exchange
        case write, append, overwrite, read, truncate, allocate, punch, zero, copy
        case attributes, xattr, sync, syncData, syncDirectory, syncToNetwork, drop
        case list, hold, letGo, pause
        case clone

        /// How often it comes, relative to the others.
        var weight: Int {
            switch self {
            case .write: 16
            case .overwrite, .read: 12
            case .create, .sync: 9
            case .append, .truncate, .rename, .unlink, .pause: 6
            case .copy, .punch, .makeDirectory, .hold, .letGo, .clone: 4
            case .link, .symlink, .attributes, .xattr, .zero, .list: 3
            case .allocate, .removeDirectory, .exchange, .syncData, .syncDirectory, .drop: 2
            case .syncToNetwork: 1
            }
        }
    }

    /// What became of a call.
    enum Answer<Value> {
        case done(Value)
        case failed(FileSystemError)
        /// The machine is down: nobody has seen an answer.
        case down
    }

    /// Files and directories at most: few, so that operations meet.
    static let filesMax = 26
    static let directoriesMax = 7
    /// Sizes: small files are most, some have several blocks.
    static let fileBytesMax = 5 << 19
    static let volumeBytesMax: UInt64 = 14 << 20
    /// Files that one client keeps open.
    private static let handlesMax = 4

    let number: Int
    let engine: VolumeEngine
    let model: Model
    let life: Life
    var random: SeededGenerator
    var handles: [InodeNumber] = []
    /// What each opening may read and write by itself; `nil` if it goes to the engine.
    private var openings: [InodeNumber: [Descriptor?]] = [:]
    /// Whether each was given a file at all.
    private var passing: [InodeNumber: [Bool]] = [:]

    /// What it chooses from.
    private let table: [Kind]

    /// `clones`: whether it clones files.
    init(
        _ number: Int,
        engine: VolumeEngine,
        model: Model,
        life: Life,
        seed: UInt64,
        clones: Bool
    ) {
        self.number = number
        table = Kind.allCases.filter { clones || $0 != .clone }.flatMap {
            [Kind](repeating: $0, count: $0.weight)
        }
        self.engine = engine
        self.model = model
        self.life = life
        random = SeededGenerator(seed: seed)
    }

    /// Does operations until the life of the machine has had enough of them.
    func run() {
        do throws(TrialFailure) {
            while life.takeStep() {
                try step()
                life.pass()
            }
            for ino in handles { close(ino) }
        } catch {
            life.fail(error)
        }
    }

    private func step() throws(TrialFailure) {
        let kind = table[Int.random(in: 0..<table.count, using: &random)]
        switch kind {
        case .create, .makeDirectory, .symlink: try create(kind)
        case .link: try link()
        case .unlink, .removeDirectory: try remove(kind)
        case .rename, .exchange: try rename(kind)
        case .write, .append, .overwrite: try write(kind)
        case .read: try read()
        case .truncate, .allocate: try resize(kind)
        case .punch, .zero: try zero(kind)
        case .copy: try copy()
        case .clone: try clone()
        case .attributes, .xattr: try change(kind)
        case .sync, .syncData: try sync(kind)
        case .syncDirectory: try syncDirectory()
        case .syncToNetwork: try syncToNetwork()
        case .drop: try drop()
        case .list: try list()
        case .hold: hold()
        case .letGo: letGo()
        case .pause: Clock.sleep(for: .milliseconds(Int.random(in: 1...1500, using: &random)))
        }
    }

    // MARK: Parts

    /// Calls the engine; `.down` if the machine went down meanwhile, whatever it said.
    func ask<Value>(_ body: () throws(FileSystemError) -> Value) -> Answer<Value> {
        do throws(FileSystemError) {
            let value = try body()
            return life.isDown ? .down : .done(value)
        } catch {
            return life.isDown ? .down : .failed(error)
        }
    }

    func pick<Value>(_ all: [Value]) -> Value? { all.randomElement(using: &random) }

    func fail(_ text: String, _ error: FileSystemError) -> TrialFailure {
        TrialFailure("\(text) failed: \(error.code): \(error.message)")
    }

    /// Whether a call may fail so because of what providers do just now.
    func isWeather(_ error: FileSystemError) -> Bool {
        !life.isCalm && (error.code == .unavailable || error.code == .corrupt)
    }

    /// Some regular file: one with a name or one that this client has open.
    func anyFile() -> InodeNumber? {
        let files = model.state.withLock { $0.files } + handles
        return pick(files)
    }

    // MARK: Open files

    /// Opens a file that exists; every one is matched by a `close`.
    func open(_ ino: InodeNumber) -> Bool {
        let isThere = model.state.withLock { state in
            guard let node = state.nodes[ino], let now = node.state,
                now.linkCount > 0 || node.opens > 0
            else { return false }
            state.nodes[ino]?.opens += 1
            return true
        }
        guard isThere else { return false }
        let how = ContentOpening(
            isForWriting: true,
            isForReading: Bool.random(using: &random),
            isDirect: Int.random(in: 0..<4, using: &random) == 0,
            isSynchronous: Int.random(in: 0..<12, using: &random) == 0
        )
        let answer = ask { () throws(FileSystemError) -> Descriptor? in
            try engine.open(ino, forWriting: true, truncate: false, wait: .allowed)
            do throws(FileSystemError) {
                return try engine.openContent(ino, how, wait: .allowed)
            } catch {
                engine.release(ino, forWriting: true)
                throw error
            }
        }
        if case .done(let file) = answer {
            openings[ino, default: []].append(how.isDirect ? nil : file)
            passing[ino, default: []].append(file != nil)
            if file != nil { model.state.withLock { $0.nodes[ino]?.isUnseen = true } }
            return true
        }
        model.state.withLock { $0.nodes[ino]?.opens -= 1 }
        return false
    }

    /// The local file that an opening of `ino` may read and write by itself, as the kernel would.
    func localFile(_ ino: InodeNumber) -> Descriptor? { openings[ino]?.last ?? nil }

    func close(_ ino: InodeNumber) {
        model.state.withLock { $0.nodes[ino]?.opens -= 1 }
        _ = openings[ino]?.popLast()
        let passed = passing[ino]?.popLast() ?? false
        engine.closeContent(ino, isForWriting: true, passed: passed)
        engine.release(ino, forWriting: true)
    }

    private func hold() {
        guard handles.count < Self.handlesMax, let ino = pick(model.state.withLock { $0.files })
        else { return }
        if open(ino) { handles.append(ino) }
    }

    private func letGo() {
        guard !handles.isEmpty else { return }
        close(handles.remove(at: Int.random(in: 0..<handles.count, using: &random)))
    }
}
