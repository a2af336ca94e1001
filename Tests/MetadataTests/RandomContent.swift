import Metadata
import Primitives
import Testing

/// Does random changes of blocks to a store, and keeps what should come of them.
struct RandomContent {
    private struct File {
        let name: EntryName
        var size: UInt64 = 0
        var blocks: [BlockIndex: BlockState] = [:]
    }

    private var random: SeededGenerator
    private var files: [InodeNumber: File] = [:]
    /// Stripes completed so far, with their shards where they are now; dead ones too.
    private var stripes: [StripeID: StripeRecord] = [:]
    private var clock = 100
    private var nextStripe: UInt64 = 1
    private(set) var shardsBegun = 0
    private let mib = UInt64(Geometry.blockBytes)

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    mutating func step(_ store: MetadataStore) throws {
        clock += 1
        switch Int.random(in: 0..<100, using: &random) {
        case ..<12: try create(store)
        case ..<47: try write(store)
        case ..<62: try truncate(store)
        case ..<77: try place(store)
        case ..<85: try evict(store)
        case ..<90: try punch(store)
        case ..<92: try fetch(store)
        case ..<95: try move(store)
        case ..<97: try remove(store)
        default: try clone(store)
        }
    }

    func compare(_ store: MetadataStore, _ what: String) throws {
        for (ino, file) in files {
            let expected = file.blocks.values.sorted { $0.index < $1.index }
            #expect(try store.blocks(of: ino) == expected, "\(what), file \(ino.rawValue)")
            #expect(try store.attributes(of: ino).size == file.size)
        }
        let dirty = files.values.flatMap(\.blocks.values).filter { $0.dirtySince != nil }
        #expect(store.totals.dirtyBlocks == dirty.count, "\(what)")
        let listed = try store.dirtyBlocks(limit: .max)
        #expect(listed.map(\.since) == dirty.compactMap(\.dirtySince).sorted(), "\(what)")
        #expect(store.totals.dirtyBytes == listed.reduce(0) { $0 + UInt64($1.bytes) }, "\(what)")
        for block in listed {
            let size = files[block.key.ino]?.size ?? 0
            #expect(UInt64(block.bytes) == min(mib, size - min(size, block.key.index.offset)))
        }
        #expect(store.totals.fileBytes == files.values.reduce(0) { $0 + $1.size })
        let needed = Set(files.values.flatMap(\.blocks.values).compactMap(\.location?.stripe))
        let placed = stripes.values.filter { needed.contains($0.id) }.sorted { $0.id < $1.id }
        #expect(try store.allPlacedStripes() == placed, "\(what)")
    }

    mutating func removeAll(_ store: MetadataStore) throws {
        while !files.isEmpty { try remove(store) }
    }

    private mutating func anyFile() -> InodeNumber? {
        files.keys.sorted().randomElement(using: &random)
    }

    private mutating func create(_ store: MetadataStore) throws {
        let name = try name("f\(clock)")
        let ino = try store.create(.file, named: name, in: .root, now: time(clock)).ino
        files[ino] = File(name: name)
    }

    /// Marks some blocks dirty, then records the write, as the engine does.
    private mutating func write(_ store: MetadataStore) throws {
        guard let ino = anyFile() else { return }
        let start = UInt64.random(in: 0..<200 * mib, using: &random)
        let end = start + UInt64.random(in: 1...3 * mib, using: &random)
        for index in start / mib...(end - 1) / mib {
            try mark(BlockIndex(index), of: ino, store)
        }
        try store.recordWrite(ino, growingTo: end, now: time(clock))
        let size = files[ino]?.size ?? 0
        files[ino]?.size = max(size, end)
    }

    private mutating func mark(
        _ index: BlockIndex,
        of ino: InodeNumber,
        _ store: MetadataStore
    ) throws {
        let token = try store.markDirty(ino, index, since: time(clock), resident: .max)
        var block = files[ino]?.blocks[index] ?? BlockState(index: index)
        block.dirtySince = token
        block.resident = .max
        files[ino]?.blocks[index] = block
    }

    private mutating func truncate(_ store: MetadataStore) throws {
        guard let ino = anyFile() else { return }
        let size = UInt64.random(in: 0..<220 * mib, using: &random)
        var change = AttributeChange()
        change.size = size
        _ = try store.setAttributes(change, of: ino, now: time(clock))
        let old = files[ino]?.size ?? 0
        files[ino]?.size = size
        guard size < old else { return }
        for (index, block) in files[ino]?.blocks ?? [:] {
            if index.offset >= size {
                files[ino]?.blocks[index] = nil
            } else if let valid = block.location?.validBytes {
                files[ino]?.blocks[index]?.location?.validBytes = UInt32(
                    min(UInt64(valid), size - index.offset)
                )
            }
        }
    }

    /// Places up to 8 dirty blocks of any files; some change between snapshot and completion.
    private mutating func place(_ store: MetadataStore) throws {
        let stripe = Stripes.record(nextStripe, payloadBytes: 8 << 20)
        nextStripe += 1
        shardsBegun += stripe.shards.count
        try store.beginStripe(stripe)
        var placed: [PlacedBlock] = []
        for (ino, file) in files.sorted(by: { $0.key < $1.key }) {
            for block in file.blocks.values.sorted(by: { $0.index < $1.index })
            where placed.count < 8 {
                guard let token = block.dirtySince, file.size > block.index.offset else { continue }
                let bytes = min(mib, file.size - block.index.offset)
                placed.append(
                    PlacedBlock(
                        key: BlockKey(ino, block.index),
                        location: Stripes.location(in: stripe, at: placed.count, bytes: bytes),
                        token: token
                    )
                )
            }
        }
        for block in placed where Int.random(in: 0..<5, using: &random) == 0 {
            try mark(block.key.index, of: block.key.ino, store)
        }
        if Int.random(in: 0..<5, using: &random) == 0 { try truncate(store) }
        if Int.random(in: 0..<9, using: &random) == 0 { try remove(store) }
        if Int.random(in: 0..<9, using: &random) == 0 {
            try store.abandonStripe(stripe.id)
            return
        }
        var cleaned: [BlockKey] = []
        for block in placed {
            guard let file = files[block.key.ino], file.size > block.key.index.offset,
                file.blocks[block.key.index]?.dirtySince == block.token
            else { continue }
            var location = block.location
            location.validBytes = UInt32(
                min(UInt64(location.validBytes), file.size - block.key.index.offset)
            )
            files[block.key.ino]?.blocks[block.key.index]?.location = location
            files[block.key.ino]?.blocks[block.key.index]?.dirtySince = nil
            cleaned.append(block.key)
        }
        #expect(try store.completeStripe(stripe.id, blocks: placed) == cleaned)
        stripes[stripe.id] = stripe
        #expect(try store.blocks(in: stripe.id) == cleaned.sorted())
    }

    /// Gives a shard of some stripe to another holder; of a dead one that is refused.
    private mutating func move(_ store: MetadataStore) throws {
        let needed = Set(files.values.flatMap(\.blocks.values).compactMap(\.location?.stripe))
        guard let id = stripes.keys.sorted().randomElement(using: &random),
            let stripe = stripes[id], let shard = stripe.shards.randomElement(using: &random)
        else { return }
        let to: NodeID = Stripes.id(UInt64.random(in: 50..<60, using: &random))
        let moved = try store.moveShard(of: id, index: shard.index, from: shard.provider, to: to)
        #expect(moved == needed.contains(id))
        if moved { stripes[id] = stripe.moving(shard.index, to: to) }
    }

    private mutating func evict(_ store: MetadataStore) throws {
        guard let ino = anyFile() else { return }
        let blocks = files[ino]?.blocks.values.sorted { $0.index < $1.index } ?? []
        let clean = blocks.filter { $0.dirtySince == nil && $0.resident != 0 }
        let evicted = try store.evict(blocks.map { BlockKey(ino, $0.index) })
        #expect(evicted == clean.map { BlockKey(ino, $0.index) })
        for block in clean {
            files[ino]?.blocks[block.index]?.resident = 0
            if block.location == nil { files[ino]?.blocks[block.index] = nil }
        }
    }

    private mutating func punch(_ store: MetadataStore) throws {
        guard let ino = anyFile() else { return }
        let start = UInt64.random(in: 0..<200, using: &random)
        let range = BlockIndex(start)..<BlockIndex(start + 20)
        try store.removeBlocks(ino, range)
        for index in files[ino]?.blocks.keys.filter({ range.contains($0) }) ?? [] {
            files[ino]?.blocks[index] = nil
        }
    }

    /// Brings segments of a placed block back into the cache.
    private mutating func fetch(_ store: MetadataStore) throws {
        guard let ino = anyFile(), let blocks = files[ino]?.blocks.values else { return }
        let clean = blocks.filter { $0.dirtySince == nil && $0.location != nil }
            .sorted { $0.index < $1.index }
        guard let block = clean.randomElement(using: &random) else { return }
        let mask = UInt16.random(in: 1...(.max), using: &random)
        try store.setResident(ino, block.index, mask)
        files[ino]?.blocks[block.index]?.resident = mask
    }

    /// Clones what is placed of a file; what is not is a hole there.
    private mutating func clone(_ store: MetadataStore) throws {
        guard let ino = anyFile(), let file = files[ino] else { return }
        let blocks = file.blocks.values.filter { $0.location?.validBytes ?? 0 > 0 }
            .sorted { $0.index < $1.index }
        let name = try name("f\(clock)")
        let made = try store.clone(
            try store.clonable(ino),
            as: try store.reserveInode(),
            blocks: blocks.compactMap { block in
                block.location.map { ClonedBlock(block.index, $0) }
            },
            named: name,
            in: .root,
            now: time(clock)
        ).ino
        files[made] = File(name: name, size: file.size)
        for block in blocks {
            files[made]?.blocks[block.index] = BlockState(
                index: block.index,
                location: block.location
            )
        }
    }

    private mutating func remove(_ store: MetadataStore) throws {
        guard let ino = anyFile(), let file = files.removeValue(forKey: ino) else { return }
        try store.unlink(file.name, in: .root, now: time(clock))
        try store.reap(ino)
    }
}
