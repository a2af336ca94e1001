import Disk
import Logging
import Primitives
import Sealing
import Synchronization
import Transport
import Wire

/// Our copy of the keepers' directory: refreshed while it is used, kept while they are away, and
/// kept in a file between runs.
final class ProviderDirectory: Sendable {
    /// A copy older than this is refreshed when somebody looks at it.
    static let freshFor = Duration.seconds(2)
    /// A copy older than this is waited for, a little.
    private static let staleAfter = Duration.seconds(6)
    private static let staleWait = Duration.milliseconds(500)
    /// First bytes of the file, with its version.
    private static let magic = Array("MEFSDIR2".utf8)
    private static let fileBytesMax = Frame.lengthMax

    private struct State {
        var providers: [NodeID: ProviderRecord] = [:]
        var refreshedAt: Duration?
        /// When the keepers were last asked, whatever came of it.
        var askedAt: Duration?
        var refresh: Pending<Void>?
        var areKeepersAway = false
        /// Nodes and addresses differ from the file's.
        var isFileOld = false
    }

    private let client: KeeperClient
    private let path: String?
    private let logger: Logger
    private let state = Mutex(State())
    /// Held while the file is written, by a thread of the caller's.
    private let fileLock = Mutex(())

    /// Reads the file at `path` that keeps the directory between runs; `nil` for none.
    init(client: KeeperClient, path: String?, logger: Logger) {
        self.client = client
        self.path = path
        self.logger = logger
        load()
    }

    /// All providers known.
    ///
    /// May block, see `StorageNetwork.providers`.
    func providers() throws(NetworkError) -> [ProviderRecord] {
        let age = state.withLock { $0.refreshedAt.map { Clock.monotonic() - $0 } }
        if let age {
            if age > Self.freshFor {
                let refresh = refresh()
                if age > Self.staleAfter { _ = try? refresh.wait(for: Self.staleWait) }
            }
        } else {
            do throws(NetworkError) {
                try refresh().wait(for: KeeperClient.patience)
            } catch {
                // What the file told is better than nothing.
                if state.withLock({ $0.providers.isEmpty }) { throw error }
            }
        }
        saveIfNeeded()
        return state.withLock { Array($0.providers.values) }
    }

    /// One provider; does not block.
    func provider(_ id: NodeID) -> ProviderRecord? {
        state.withLock { $0.providers[id] }
    }

    /// Asks the keepers; calls that come meanwhile share one question.
    func refresh() -> Pending<Void> {
        let (pending, isNew) = state.withLock { state -> (Pending<Void>, Bool) in
            if let refresh = state.refresh { return (refresh, false) }
            let refresh = Pending<Void>()
            state.refresh = refresh
            state.askedAt = Clock.monotonic()
            return (refresh, true)
        }
        guard isNew else { return pending }
        client.providers().whenDone { outcome in
            switch outcome {
            case .success(let providers): self.take(providers)
            case .failure(let error): self.noteAway(error)
            }
            self.state.withLock { $0.refresh = nil }
            pending.fulfil(outcome.map { _ in })
        }
        return pending
    }

    /// Asks the keepers, unless they were asked a moment ago; does not wait.
    func refreshIfOld() {
        let askedAt = state.withLock { $0.askedAt }
        if let askedAt, Clock.monotonic() - askedAt < Self.freshFor { return }
        _ = refresh()
    }

    private func take(_ list: [ProviderRecord]) {
        let wereAway = state.withLock { state -> Bool in
            var providers: [NodeID: ProviderRecord] = [:]
            for provider in list { providers[provider.id] = provider }
            let isSame =
                providers.count == state.providers.count
                && providers.allSatisfy { state.providers[$0.key]?.address == $0.value.address }
            if !isSame { state.isFileOld = true }
            state.providers = providers
            state.refreshedAt = Clock.monotonic()
            defer { state.areKeepersAway = false }
            return state.areKeepersAway
        }
        if wereAway { logger.info("a keeper answers again") }
    }

    private func noteAway(_ error: NetworkError) {
        let isNews = state.withLock { state -> Bool in
            defer { state.areKeepersAway = true }
            return !state.areKeepersAway
        }
        if isNews { logger.warning("no keeper answers, the known providers are used: \(error)") }
    }

    // MARK: The file

    private func saveIfNeeded() {
        guard let path else { return }
        fileLock.withLock { _ in
            let providers = state.withLock { state -> [ProviderRecord]? in
                guard state.isFileOld else { return nil }
                state.isFileOld = false
                return Array(state.providers.values)
            }
            guard let providers else { return }
            var writer = ByteWriter()
            writer.raw(Self.magic)
            let body = ProviderList(providers: providers.sorted { $0.id < $1.id }).encoded
            writer.id(SHA256.digest(body))
            writer.raw(body)
            do throws(DiskError) {
                try WholeFile.replace(path, with: writer.bytes)
            } catch {
                logger.warning("the list of providers is not kept: \(error)")
            }
        }
    }

    private func load() {
        guard let path, WholeFile.exists(path) else { return }
        do {
            let bytes = try WholeFile.read(path, limit: Self.fileBytesMax)
            var reader = ByteReader(bytes)
            guard Array(try reader.bytes(Self.magic.count)) == Self.magic else {
                throw DecodeError.badMagic(expected: "list of providers")
            }
            let digest = try reader.id(Digest.self)
            let body = Array(try reader.bytes(reader.remaining))
            guard SHA256.digest(body) == digest else {
                throw DecodeError.corrupt("list of providers")
            }
            let list = try ProviderList(decoding: body)
            state.withLock { state in
                for var provider in list.providers {
                    // Unknown is not down; our own attempts will tell.
                    provider.isUp = true
                    state.providers[provider.id] = provider
                }
            }
        } catch {
            logger.warning("\(path) is not used: \(error)")
        }
    }
}
