import Metadata
import Primitives
import Testing

/// POSIX access control lists, by what a store does with them.
@Suite struct AccessListTests {
    /// An entry: tag, permissions and, of named users and groups, the number.
    private typealias Entry = (tag: UInt16, permissions: UInt16, id: UInt32)

    private static let nobody = UInt32.max
    private static let access = Array("system.posix_acl_access".utf8)
    private static let inherited = Array("system.posix_acl_default".utf8)
    /// Owner rw, user 1001 rwx, group r, mask r-x, others nothing.
    private static let full: [Entry] = [
        (1, 6, nobody), (2, 7, 1001), (4, 4, nobody), (16, 5, nobody), (32, 0, nobody),
    ]

    /// The list as the kernel writes it.
    private static func list(_ entries: [Entry], version: UInt32 = 2) -> [UInt8] {
        func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
            withUnsafeBytes(of: number.littleEndian) { Array($0) }
        }
        return bytes(version)
            + entries.flatMap { bytes($0.tag) + bytes($0.permissions) + bytes($0.id) }
    }

    private static func set(
        _ value: [UInt8],
        as name: [UInt8] = access,
        of ino: InodeNumber,
        in store: MetadataStore,
        clearsSetGroup: Bool = false
    ) throws {
        try store.setExtendedAttribute(
            name,
            to: value,
            mode: .set,
            clearsSetGroup: clearsSetGroup,
            of: ino,
            now: time(5)
        )
    }

    private static func chmod(_ mode: UInt16, _ ino: InodeNumber, _ store: MetadataStore) throws {
        var change = AttributeChange()
        change.mode = mode
        _ = try store.setAttributes(change, of: ino, now: time(6))
    }

    @Test func theMaskIsTheGroupsPartOfTheMode() throws {
        try withStore { store in
            let file = try store.make("file")
            try Self.set(Self.list(Self.full), of: file, in: store)
            #expect(try store.attributes(of: file).mode == 0o650)
            #expect(try store.attributes(of: file).changed == time(5))
            #expect(try store.extendedAttribute(Self.access, of: file) == Self.list(Self.full))

            try Self.chmod(0o4721, file, store)
            var expected = Self.full
            expected[0].permissions = 7
            expected[3].permissions = 2
            expected[4].permissions = 1
            #expect(try store.attributes(of: file).mode == 0o4721)
            #expect(try store.extendedAttribute(Self.access, of: file) == Self.list(expected))
        }
    }

    @Test func aListThatIsAModeIsNotKept() throws {
        try withStore { store in
            let file = try store.make("file")
            try Self.set(Self.list(Self.full), of: file, in: store)
            let plain = Self.list([(1, 7, Self.nobody), (4, 3, Self.nobody), (32, 1, Self.nobody)])
            try Self.set(plain, of: file, in: store)
            #expect(try store.attributes(of: file).mode == 0o731)
            #expect(try store.extendedAttributes(of: file).isEmpty)
            #expect(code { _ = try store.extendedAttribute(Self.access, of: file) } == .noAttribute)
        }
    }

    @Test func whoIsNotOfTheGroupLosesTheSetGroupBit() throws {
        try withStore { store in
            let file = try store.make("file")
            for clears in [false, true] {
                try Self.chmod(0o2755, file, store)
                try Self.set(
                    Self.list(Self.full),
                    of: file,
                    in: store,
                    clearsSetGroup: clears
                )
                #expect(try store.attributes(of: file).mode == (clears ? 0o650 : 0o2650))
            }
        }
    }

    /// Every truncation and every changed bit of a list is refused, or is another list that is
    /// given back as it was set.
    @Test func whatIsNoListIsRefused() throws {
        try withStore { store in
            let file = try store.make("file")
            let good = Self.list(Self.full)
            var refused = 0
            func check(_ bytes: [UInt8]) throws {
                switch code({ try Self.set(bytes, of: file, in: store) }) {
                case .invalid: refused += 1
                case nil: #expect(try store.attributes(of: file).mode <= 0o777)
                case let other: Issue.record("\(bytes): \(String(describing: other))")
                }
            }
            for count in 0..<good.count {
                let before = refused
                try check(Array(good.prefix(count)))
                #expect(refused == before + 1, "\(count) bytes")
            }
            for bit in 0..<good.count * 8 {
                var bytes = good
                bytes[bit / 8] ^= 1 << (bit % 8)
                try check(bytes)
            }
            #expect(refused > good.count)
            try check(Self.list(Self.full, version: 1))
            try check(Self.list([Self.full[1], Self.full[0]] + Self.full[2...]))
            try check(Self.list(Self.full + [(32, 0, Self.nobody)]))
            try check(Self.list(Self.full.filter { $0.tag != 16 }))
        }
    }

    @Test func listsBelongWhereTheyMeanSomething() throws {
        try withStore { store in
            let file = try store.make("file")
            let link = try store.make("link", .link("file"))
            let full = Self.list(Self.full)
            #expect(
                code { try Self.set(full, as: Self.inherited, of: file, in: store) } == .invalid
            )
            #expect(code { try Self.set(full, of: link, in: store) } == .invalid)
        }
    }

    @Test func whatIsMadeInheritsTheDefaultListInPlaceOfTheUmask() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path, limits: .manual)
            let parent = try store.make("parent", .directory)
            let full = Self.list(Self.full)
            try Self.set(full, as: Self.inherited, of: parent, in: store)
            var file = NewInode.file
            file.mode = 0o4646
            file.umask = 0o077
            var directory = NewInode.directory
            directory.mode = 0o777
            directory.umask = 0o077
            let made = try store.make("file", in: parent, file)
            let unnamed = try store.createUnnamed(file, in: parent, now: time(3)).ino
            let below = try store.make("below", in: parent, directory)
            let link = try store.make("link", in: parent, .link("x"))
            try store.close()

            let again = try MetadataStore(opening: path)
            var expected = Self.full
            expected[3].permissions = 4
            for ino in [made, unnamed] {
                #expect(try again.attributes(of: ino).mode == 0o4640)
                #expect(
                    try again.extendedAttribute(Self.access, of: ino) == Self.list(expected)
                )
                #expect(try again.extendedAttributes(of: ino) == [Self.access])
            }
            #expect(try again.attributes(of: below).mode == 0o650)
            #expect(try again.extendedAttribute(Self.access, of: below) == full)
            #expect(try again.extendedAttribute(Self.inherited, of: below) == full)
            #expect(try again.attributes(of: link).mode == 0o777)
            #expect(try again.extendedAttributes(of: link).isEmpty)
            try again.close()
        }
    }

    @Test func withoutADefaultListTheUmaskHolds() throws {
        try withStore { store in
            var new = NewInode.file
            new.mode = 0o4666
            new.umask = 0o027
            let made = try store.attributes(of: store.make("file", new))
            #expect(made.mode == 0o4640)
        }
    }
}
