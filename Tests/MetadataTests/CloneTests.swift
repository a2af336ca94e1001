import Metadata
import Primitives
import Testing

/// Inodes that share the places of their blocks.
@Suite struct CloneTests {
    private let mib = UInt64(Geometry.blockBytes)

    /// A clone of all of `ino`, as an engine would make it.
    private func clone(
        _ ino: InodeNumber,
        as text: String,
        in store: MetadataStore,
        _ key: [UInt8] = [7]
    ) throws -> Attributes {
        var inode = try store.clonable(ino)
        inode.wrappedKey = key
        let blocks = try store.blocks(of: ino).compactMap { block in
            block.location.map { ClonedBlock(block.index, $0) }
        }
        return try store.clone(
            inode,
            as: try store.reserveInode(),
            blocks: blocks,
            named: try name(text),
            in: .root,
            now: time(9)
        )
    }

    @Test func aCloneIsAsItsSourceButForItsNumber() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let ino = try store.make("f")
            try store.setFileKey([5], of: ino)
            let stripe = try Stripes.place(ino, bytes: 2 * mib + 100, 1, in: store)
            try store.setExtendedAttribute(
                Array("user.a".utf8),
                to: [1],
                mode: .set,
                of: ino,
                now: time(5)
            )
            _ = try store.link(ino, as: try name("g"), in: .root, now: time(6))
            let source = try store.attributes(of: ino)
            let made = try clone(ino, as: "c", in: store)
            #expect(made.ino != ino && made.linkCount == 1 && made.changed == time(9))
            #expect(made.modified == source.modified && made.accessed == source.accessed)
            #expect(made.mode == source.mode && made.size == source.size)
            #expect(try store.fileKey(of: made.ino) == [7])
            #expect(try store.clonable(made.ino).xattrs == [Array("user.a".utf8): [1]])
            #expect(
                try store.blocks(of: made.ino).map(\.location)
                    == store.blocks(of: ino).map(\.location)
            )
            #expect(try store.blocks(of: made.ino).allSatisfy { $0.resident == 0 })
            #expect(try store.blocks(in: stripe.id).count == 6)
            #expect(store.totals.placedBytes == 2 * (2 * mib + 100))
            #expect(store.totals.fileBytes == 2 * (2 * mib + 100) && store.totals.files == 2)
            #expect(code { _ = try clone(ino, as: "c", in: store) } == .exists)
            try store.close()
            #expect(try findings(in: path) == [])
            store = try MetadataStore(opening: path)
            #expect(try store.attributes(of: made.ino) == made)
            #expect(try store.blocks(of: made.ino).count == 3)
            try store.close()
        }
    }

    @Test func aStripeLivesUntilTheLastThatSharesItIsGone() throws {
        try withStore { store in
            let ino = try store.make("f")
            let stripe = try Stripes.place(ino, bytes: mib, 1, in: store)
            let clones = try (0..<3).map { try clone(ino, as: "c\($0)", in: store).ino }
            // The source gets other bytes, and is removed.
            _ = try Stripes.place(ino, bytes: mib, 2, in: store)
            try store.unlink(try name("f"), in: .root, now: time(10))
            try store.reap(ino)
            #expect(try store.placedStripes(limit: 9).map(\.id) == [stripe.id])
            for (number, clone) in clones.enumerated() {
                #expect(try store.placedStripe(stripe.id) == stripe)
                try store.unlink(try name("c\(number)"), in: .root, now: time(11))
                try store.reap(clone)
            }
            let dead = Set(try store.deadShards(limit: 100).map(\.stripe))
            #expect(dead.contains(stripe.id))
            let forgotten = try store.placedStripe(stripe.id)
            #expect(forgotten == nil)
            #expect(code { _ = try clone(ino, as: "x", in: store) } == .notFound)
        }
    }

    @Test func whatIsCutOrWrittenInOneStaysInTheOther() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            let ino = try store.make("f")
            try store.setFileKey([5], of: ino)
            let stripe = try Stripes.place(ino, bytes: 2 * mib, 1, in: store)
            let made = try clone(ino, as: "c", in: store).ino
            let before = try store.blocks(of: made)
            var change = AttributeChange()
            change.size = mib + 7
            _ = try store.setAttributes(change, of: ino, now: time(10))
            #expect(try store.block(BlockIndex(1), of: ino)?.location?.validBytes == 7)
            #expect(try store.blocks(of: made) == before)
            // Each may be cloned again, the cut one too.
            let third = try clone(ino, as: "d", in: store).ino
            #expect(try store.block(BlockIndex(1), of: third)?.location?.validBytes == 7)
            let other = try Stripes.place(made, bytes: 2 * mib, 2, in: store)
            #expect(try store.blocks(in: stripe.id).map(\.ino) == [ino, ino, third, third])
            #expect(try store.blocks(in: other.id).map(\.ino) == [made, made])
            try store.close()
            #expect(try findings(in: path) == [])
        }
    }

    @Test func aCloneBringsBackWhatOnlyAHeadNeeded() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            try store.beginCheckpoints()
            let ino = try store.make("f")
            let stripe = try Stripes.place(ino, bytes: mib, 1, in: store)
            let location = try #require(try store.block(BlockIndex(0), of: ino)?.location)
            let kept = try store.clonable(ino)
            func register() throws {
                let cut = try store.cut()
                try store.noteRegistered(cut.version, through: cut.last, forgettingThrough: nil)
            }
            func bringBack(_ text: String) throws -> InodeNumber {
                var inode = kept
                inode.wrappedKey = [7]
                return try store.clone(
                    inode,
                    as: try store.reserveInode(),
                    blocks: [ClonedBlock(BlockIndex(0), location)],
                    named: try name(text),
                    in: .root,
                    now: time(12)
                ).ino
            }
            try register()
            try store.unlink(try name("f"), in: .root, now: time(11))
            try store.reap(ino)
            // The head before has it; the next one, once registered, does without.
            #expect(try store.collectReleased(limit: 9) == 0)
            let made = try bringBack("c")
            try register()
            try register()
            #expect(try store.collectReleased(limit: 9) == 0)
            #expect(try store.placedStripe(stripe.id) == stripe)
            #expect(try store.blocks(in: stripe.id).map(\.ino) == [made])
            try store.close()
            #expect(try findings(in: path) == [])

            let again = try MetadataStore(opening: path)
            try again.unlink(try name("c"), in: .root, now: time(13))
            try again.reap(made)
            let cut = try again.cut()
            try again.noteRegistered(cut.version, through: cut.last, forgettingThrough: nil)
            #expect(try again.collectReleased(limit: 9) == 1)
            let stale = ClonedBlock(BlockIndex(0), location)
            #expect(
                code {
                    _ = try again.clone(
                        kept,
                        as: try again.reserveInode(),
                        blocks: [stale],
                        named: try name("d"),
                        in: .root,
                        now: time(14)
                    )
                } == .stale
            )
            #expect(try again.names() == [])
            try again.close()
        }
    }

    /// In parts, with caches so small that each part is read back before the next.
    @Test func aHugeFileIsClonedInPartsOrNotAtAll() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path, limits: .tiny)
            let ino = try store.make("f")
            let stripe = try Stripes.place(ino, bytes: 200 * mib, 1, in: store)
            let inode = try store.clonable(ino)
            let blocks = try store.blocks(of: ino).compactMap { block in
                block.location.map { ClonedBlock(block.index, $0) }
            }
            let made = try store.reserveInode()
            try store.cloneUnnamed(inode, as: made, blocks: Array(blocks[..<70]), now: time(9))
            for start in stride(from: 70, to: 200, by: 26) {
                try store.commit()
                for number in 0..<20 { try store.make("x\(start)-\(number)") }
                let part = Array(blocks[start..<min(200, start + 26)])
                try store.extendClone(made, blocks: part)
            }
            #expect(try store.orphans() == [made])
            try store.commit()
            let copy = path + ".copy"
            try copyStore(path, to: copy)
            _ = try store.link(made, as: try name("c"), in: .root, now: time(10))
            #expect(code { try store.extendClone(made, blocks: []) } == .invalid)
            #expect(try store.blocks(of: made).map(\.location) == blocks.map(\.location))
            try store.close()
            store = try MetadataStore(opening: path)
            #expect(try store.attributes(of: made).size == 200 * mib)
            #expect(try store.orphans() == [])
            try store.close()

            // Killed before the name.
            let crashed = try MetadataStore(opening: copy)
            #expect(try crashed.orphans() == [made])
            try crashed.reap(made)
            #expect(try crashed.blocks(in: stripe.id).map(\.ino).allSatisfy { $0 == ino })
            try crashed.close()
            let kinds = Set(try findings(in: copy).map(\.kind))
            // The stripe that all blocks are said to be in is too small for them.
            #expect(kinds.subtracting([.missingKey, .blockOutsideStripe]) == [])
        }
    }
}
