import Logging
import Network
import Primitives
import Proofs
import SQLite
import Sealing
import Synchronization
import Transport

/// Follows the keepers' beacon: every block is checked and linked to the one before.
final class BeaconFollower: Sendable {
    /// Pages of blocks fetched at once: 8 times 6 weeks of hours.
    private static let pagesMax = 8

    private let book: OrderBook
    private let network: any StorageNetwork
    private let logger: Logger
    /// What was complained of last, so that it is said once.
    private let complaint = Mutex("")

    init(book: OrderBook, network: any StorageNetwork, logger: Logger) {
        self.book = book
        self.network = network
        self.logger = logger
    }

    /// The newest block that we hold of any keeper.
    var newest: BeaconBlock? {
        book.state.withLock { $0.beacons.values.max { $0.epoch < $1.epoch } }
    }

    /// Asks for the newest block, and for those between it and ours.
    ///
    /// Blocks.
    ///
    /// - Returns: The newest block, which may be the one we had.
    /// - Throws: `noBeacon`
    @discardableResult
    func refresh() throws(CustodyError) -> BeaconBlock {
        do throws(NetworkError) {
            guard let block = try ask(FetchBeacons(newest: 1)).last else {
                throw NetworkError(.notFound, "the keeper has no beacon yet")
            }
            let known = book.state.withLock { $0.beacons[block.keeperKey.bytes] }
            if let known, known.epoch >= block.epoch { return known }
            try take(block, after: known)
            complaint.withLock { $0 = "" }
            return block
        } catch {
            complain("\(error)")
            throw CustodyError(.noBeacon, "no beacon: \(error)")
        }
    }

    private func ask(_ query: FetchBeacons) throws(NetworkError) -> [BeaconBlock] {
        try network.ask(query).wait(for: Self.patience).blocks
    }

    private static let patience = FetchBeacons.timeout + OrderBook.patience

    private func take(_ block: BeaconBlock, after known: BeaconBlock?) throws(NetworkError) {
        guard book.identity.keepers.contains(block.keeperKey), block.isSignatureValid else {
            throw NetworkError(.unauthorized, "the beacon is not signed by a keeper we know")
        }
        var blocks = [block]
        if let known, !block.follows(known) {
            do throws(NetworkError) {
                blocks = try between(known, block)
            } catch  where error.code == .corrupt {
                // A keeper that lost its chain begins a new one; what was proved stays proved.
                logger.warning("a keeper's beacon begins anew at epoch \(block.epoch.rawValue)")
            }
        }
        try book.write { (store) throws(SQLiteError) in try store.add(blocks) }
        book.state.withLock { $0.beacons[block.keeperKey.bytes] = block }
    }

    /// The blocks that link `known` to `block`, the last of which it is.
    private func between(
        _ known: BeaconBlock,
        _ block: BeaconBlock
    ) throws(NetworkError) -> [BeaconBlock] {
        var blocks: [BeaconBlock] = []
        var last = known
        for _ in 0..<Self.pagesMax {
            // Each keeper has a chain of its own.
            let query = FetchBeacons(from: Epoch(last.epoch.rawValue + 1))
            let page = try network.ask(query, ofKeeper: block.keeperKey.nodeID)
                .wait(for: Self.patience).blocks
            for next in page where last.epoch < block.epoch {
                guard next.follows(last) else {
                    throw NetworkError(.corrupt, "the beacon's blocks do not link")
                }
                blocks.append(next)
                last = next
            }
            if last == block { return blocks }
            guard !page.isEmpty, last.epoch < block.epoch else { break }
        }
        throw NetworkError(.corrupt, "the beacon's blocks do not lead to the newest")
    }

    private func complain(_ reason: String) {
        let isNews = complaint.withLock { last -> Bool in
            defer { last = reason }
            return last != reason
        }
        if isNews { logger.warning("nothing can be audited: \(reason)") }
    }
}
