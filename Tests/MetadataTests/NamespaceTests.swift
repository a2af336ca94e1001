import Metadata
import Primitives
import Testing

/// Rules of names that deserve a name of their own; `NamespaceModelTests` covers the combinations.
@Suite struct NamespaceTests {
    @Test func errorsNameTheThing() throws {
        try withStore { store in
            try store.make("there")
            let error = #expect(throws: FileSystemError.self) { try store.make("there") }
            #expect(error?.code == .exists)
            #expect(error?.message == "\"there\" exists already in directory 1")
        }
    }

    @Test func directoryCannotMoveBelowItself() throws {
        try withStore { store in
            let a = try store.make("a", .directory)
            let b = try store.make("b", in: a, .directory)
            let c = try store.make("c", in: b, .directory)
            for target in [a, b, c] {
                let got = code {
                    try store.rename(
                        name("a"),
                        in: .root,
                        to: name("x"),
                        in: target,
                        mode: .replace,
                        now: time(3)
                    )
                }
                #expect(got == .invalid)
            }
            #expect(
                code {
                    try store.rename(
                        name("a"),
                        in: .root,
                        to: name("c"),
                        in: b,
                        mode: .exchange,
                        now: time(3)
                    )
                } == .invalid
            )
            #expect(
                code {
                    try store.rename(
                        name("c"),
                        in: b,
                        to: name("a"),
                        in: .root,
                        mode: .exchange,
                        now: time(3)
                    )
                } == .invalid
            )
        }
    }

    @Test func exchangeAcrossDirectoriesMovesParentsAndLinkCounts() throws {
        try withStore { store in
            let a = try store.make("a", .directory)
            let b = try store.make("b", .directory)
            let inner = try store.make("inner", in: a, .directory)
            let file = try store.make("file", in: b)
            try store.rename(
                name("inner"),
                in: a,
                to: name("file"),
                in: b,
                mode: .exchange,
                now: time(9)
            )
            #expect(try store.lookup(name("inner"), in: a).ino == file)
            #expect(try store.lookup(name("file"), in: b).ino == inner)
            #expect(try store.parent(of: inner) == b)
            #expect(try store.attributes(of: a).linkCount == 2)
            #expect(try store.attributes(of: b).linkCount == 3)
            for ino in [a, b, inner, file] {
                #expect(try store.attributes(of: ino).changed == time(9))
            }
            #expect(try store.attributes(of: inner).modified == time(2))
        }
    }

    @Test func renameOverAFileTellsWhatLostItsName() throws {
        try withStore { store in
            let old = try store.make("old")
            let new = try store.make("new")
            let replaced = try store.rename(
                name("old"),
                in: .root,
                to: name("new"),
                in: .root,
                mode: .replace,
                now: time(3)
            )
            #expect(replaced?.ino == new)
            #expect(replaced?.linkCount == 0)
            #expect(try store.lookup(name("new"), in: .root).ino == old)
            #expect(try store.orphans() == [new])
            // Still there for who has it open.
            #expect(try store.attributes(of: new).linkCount == 0)
            try store.reap(new)
            #expect(code { _ = try store.attributes(of: new) } == .notFound)
            #expect(try store.orphans() == [])
        }
    }

    @Test func renameBetweenTwoNamesOfOneFileDoesNothing() throws {
        try withStore { store in
            let ino = try store.make("a")
            _ = try store.link(ino, as: name("b"), in: .root, now: time(3))
            let replaced = try store.rename(
                name("a"),
                in: .root,
                to: name("b"),
                in: .root,
                mode: .replace,
                now: time(4)
            )
            #expect(replaced == nil)
            #expect(try store.names() == ["a", "b"])
            #expect(try store.attributes(of: ino).changed == time(3))
        }
    }

    @Test func fileHasAtMost65000Names() throws {
        try withStore { store in
            let ino = try store.make("0")
            for index in 1..<65_000 {
                _ = try store.link(ino, as: name("\(index)"), in: .root, now: time(3))
            }
            #expect(try store.attributes(of: ino).linkCount == 65_000)
            #expect(
                code { _ = try store.link(ino, as: name("x"), in: .root, now: time(3)) }
                    == .tooManyLinks
            )
            try store.unlink(name("7"), in: .root, now: time(3))
            _ = try store.link(ino, as: name("x"), in: .root, now: time(3))
        }
    }

    @Test func removedDirectoryTakesNoNewEntries() throws {
        try withStore { store in
            let ino = try store.make("d", .directory)
            try store.removeDirectory(name("d"), in: .root, now: time(3))
            #expect(code { try store.make("x", in: ino) } == .notFound)
            #expect(try store.listing(ino).isEmpty)
        }
    }

    @Test func symbolicLinkKeepsItsTarget() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let ino = try store.make("l", .link("some/where"))
            #expect(try store.attributes(of: ino).size == 10)
            try store.close()
            store = try MetadataStore(opening: path)
            #expect(try store.readLink(ino) == Array("some/where".utf8))
            #expect(code { try store.make("e", .link("")) } == .notFound)
            let long = String(repeating: "x", count: 4096)
            #expect(code { try store.make("e", .link(long)) } == .nameTooLong)
            try store.close()
        }
    }

    @Test func sizeIsLimitedAndOnlyOfFiles() throws {
        try withStore { store in
            let ino = try store.make("f")
            var change = AttributeChange()
            change.size = Geometry.fileBytesMax + 1
            #expect(
                code { _ = try store.setAttributes(change, of: ino, now: time(3)) } == .fileTooLarge
            )
            #expect(
                code { _ = try store.setAttributes(change, of: .root, now: time(3)) }
                    == .isDirectory
            )
            #expect(
                code { try store.recordWrite(ino, growingTo: .max, now: time(3)) } == .fileTooLarge
            )
            change.size = Geometry.fileBytesMax
            #expect(try store.setAttributes(change, of: ino, now: time(3)).blocks512 == 0)
        }
    }

    // MARK: Listings

    @Test func cookiesStartAtThreeAndStay() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            for text in ["a", "b", "c"] { try store.make(text) }
            #expect(try store.listing(.root).map(\.cookie) == [3, 4, 5])
            try store.unlink(name("b"), in: .root, now: time(3))
            try store.make("d")
            try store.close()
            store = try MetadataStore(opening: path)
            #expect(try store.listing(.root).map(\.cookie) == [3, 5, 6])
            #expect(try store.names(by: 1) == ["a", "c", "d"])
            try store.close()
        }
    }

    /// Whatever happens between two parts of a listing, what stays is seen once, in `limits` that
    /// leave the changes in memory and in such that save them at once.
    @Test(arguments: [MetadataLimits.manual, MetadataLimits.tiny])
    func listingSeesWhatStaysExactlyOnce(limits: MetadataLimits) throws {
        try withStore(limits: limits) { store in
            for index in 0..<200 { try store.make("stays\(index)") }
            for index in 0..<200 { try store.make("goes\(index)") }
            var seen: [String] = []
            var cookie: UInt64 = 0
            var round = 0
            while true {
                let part = try store.readDirectory(.root, after: cookie, limit: 7)
                if part.isEmpty { break }
                seen += part.map(\.name.description)
                cookie = part.last?.cookie ?? 0
                if round < 200 {
                    try store.unlink(name("goes\(199 - round)"), in: .root, now: time(3))
                    try store.make("comes\(round)")
                    // Replaced and exchanged ones are there all the time.
                    try store.make("temporary")
                    try store.rename(
                        name("temporary"),
                        in: .root,
                        to: name("stays\(round)"),
                        in: .root,
                        mode: .replace,
                        now: time(3)
                    )
                    try store.rename(
                        name("stays\(round)"),
                        in: .root,
                        to: name("stays\(199 - round)"),
                        in: .root,
                        mode: .exchange,
                        now: time(3)
                    )
                }
                round += 1
            }
            let stays = seen.filter { $0.hasPrefix("stays") }
            #expect(stays.count == 200)
            #expect(Set(stays).count == 200)
            #expect(Set(seen).count == seen.count)
        }
    }

    /// An empty answer means the end, so it must not come from entries that memory knows are gone.
    @Test func anEmptyDirectoryBeginsItsCookiesAnew() throws {
        var limits = MetadataLimits()
        limits.cookiesRenewedFrom = 10
        try withStore(limits: limits) { store in
            for round in 0..<9 {
                try store.make("\(round)")
                try store.unlink(name("\(round)"), in: .root, now: time(3))
            }
            try store.make("kept")
            // 3 to 9 were given out; the next creation in the empty directory began anew.
            #expect(try store.listing(.root).map(\.cookie) == [5])
            for round in 0..<9 {
                try store.make("\(round)")
                try store.unlink(name("\(round)"), in: .root, now: time(3))
            }
            try store.make("last")
            #expect(try store.listing(.root).map(\.cookie) == [5, 15])
        }
    }

    @Test func listingPassesOverManyUnsavedRemovals() throws {
        try withStore(limits: .manual) { store in
            for index in 0..<50 { try store.make("\(index)") }
            try store.commit()
            for index in 0..<49 { try store.unlink(name("\(index)"), in: .root, now: time(3)) }
            #expect(
                try store.readDirectory(.root, after: 0, limit: 1).map(\.name.description) == ["49"]
            )
        }
    }

    // MARK: Extended attributes

    @Test func extendedAttributesHaveLimits() throws {
        try withStore { store in
            let ino = try store.make("f")
            func set(_ name: [UInt8], _ bytes: Int) throws {
                try store.setExtendedAttribute(
                    name,
                    to: [UInt8](repeating: 7, count: bytes),
                    mode: .set,
                    of: ino,
                    now: time(3)
                )
            }
            let long = [UInt8](repeating: 0x61, count: 255)
            try set(long, 64 << 10)
            #expect(code { try set(long + [0x61], 1) } == .nameTooLong)
            #expect(code { try set([], 1) } == .invalid)
            #expect(code { try set([0x61], (64 << 10) + 1) } == .noSpace)
            #expect(try store.extendedAttribute(long, of: ino).count == 64 << 10)
            // 255 names of 255 bytes and a NUL fill the list.
            for index in 1...255 { try set([UInt8(index)] + long.dropFirst(), 0) }
            #expect(try store.extendedAttributes(of: ino).count == 255)
            #expect(code { try set(Array(long.dropLast()) + [1], 0) } == nil)
            #expect(code { try set([9], 0) } == .noSpace)
        }
    }

    // MARK: Keys

    @Test func fileKeyGoesWithTheFile() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let ino = try store.make("f")
            #expect(try store.fileKey(of: ino) == nil)
            try store.setFileKey([1, 2, 3], of: ino)
            try store.close()
            store = try MetadataStore(opening: path)
            #expect(try store.fileKey(of: ino) == [1, 2, 3])
            try store.unlink(name("f"), in: .root, now: time(3))
            try store.reap(ino)
            #expect(code { _ = try store.fileKey(of: ino) } == .notFound)
            try store.close()
        }
    }
}
