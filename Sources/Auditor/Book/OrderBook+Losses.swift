import Logging
import Primitives
import Reliability
import SQLite
import Synchronization

/// Shards known to be lost, stray copies, histories.
extension OrderBook {
    func loss(_ shard: ShardID, at provider: NodeID) -> Loss? {
        state.withLock { $0.losses[Copy(shard: shard, provider: provider)] }
    }

    func lossCount(at provider: NodeID) -> Int {
        state.withLock { state in state.losses.keys.count { $0.provider == provider } }
    }

    var losses: [Copy: Loss] { state.withLock { $0.losses } }

    /// Remembers shards as lost at a provider; how many are news.
    @discardableResult
    func noteLost(_ shards: [ShardID], at provider: NodeID, _ cause: Loss.Cause) -> Int {
        let time = now()
        let news = state.withLock { state -> [Copy: Loss] in
            var news: [Copy: Loss] = [:]
            for shard in shards {
                let copy = Copy(shard: shard, provider: provider)
                guard state.losses[copy] == nil else { continue }
                let loss = Loss(since: time, cause: cause)
                news[copy] = loss
                state.losses[copy] = loss
            }
            if !news.isEmpty { state.lossVersion += 1 }
            return news
        }
        guard !news.isEmpty else { return 0 }
        attempt("losses") { (store) throws(SQLiteError) in try store.add(news) }
        return news.count
    }

    /// These shards are there again, or nobody asks for them any more.
    func forgetLosses(_ copies: [Copy]) {
        let known = state.withLock { state in
            copies.filter { state.losses.removeValue(forKey: $0) != nil }
        }
        guard !known.isEmpty else { return }
        attempt("losses") { (store) throws(SQLiteError) in try store.removeLosses(known) }
    }

    // MARK: Stray copies

    func put(_ strays: [StrayCopy]) throws(CustodyError) {
        try writeBook { (store) throws(SQLiteError) in try store.put(strays) }
    }

    func removeStrays(_ copies: [Copy]) {
        attempt("copies") { (store) throws(SQLiteError) in try store.removeStrays(copies) }
    }

    func strays(of shard: ShardID) -> [StrayCopy] {
        attempt("copies") { (store) throws(SQLiteError) in try store.strays(of: shard) } ?? []
    }

    // MARK: Histories

    func history(of provider: NodeID) -> ProviderHistory? {
        state.withLock { $0.histories[provider] }
    }

    /// Changes what is known of a provider, in memory; `saveHistories` makes it durable.
    func note(_ provider: NodeID, _ change: (inout ProviderHistory) -> Void) {
        let time = now()
        state.withLock { state in
            var history = state.histories[provider] ?? ProviderHistory(firstSeen: time)
            change(&history)
            state.histories[provider] = history
        }
    }

    func saveHistories() {
        let histories = state.withLock { $0.histories }
        attempt("histories") { (store) throws(SQLiteError) in
            try store.transaction { () throws(SQLiteError) in
                for (provider, history) in histories { try store.put(history, of: provider) }
            }
        }
    }

    // MARK: The file

    func writeBook<T>(
        _ body: (BookStore) throws(SQLiteError) -> sending T
    ) throws(CustodyError) -> sending T {
        do throws(SQLiteError) {
            return try store.withLock { (store) throws(SQLiteError) in try body(store) }
        } catch {
            throw CustodyError(.storage, "the book of orders: \(error)")
        }
    }

    /// Writes what can be found out again if it is not written.
    @discardableResult
    func attempt<T>(
        _ what: String,
        _ body: (BookStore) throws(SQLiteError) -> sending T
    ) -> sending T? {
        do throws(CustodyError) {
            return try writeBook(body)
        } catch {
            logger.error("\(what) are not written down: \(error)")
            return nil
        }
    }
}
