import Disk
import Glibc
import Testing

struct WholeFileTests {
    @Test func replacementIsWholeAndLeavesNothingBeside() throws {
        try withScratch { directory in
            let path = directory + "/state"
            try WholeFile.replace(path, with: [1, 2, 3], permissions: 0o600)
            try WholeFile.replace(path, with: [4])
            #expect(try WholeFile.read(path) == [4])
            #expect(try Directory.list(directory) == ["state"])
        }
    }

    @Test func leftoverOfACrashDoesNotStopReplacement() throws {
        try withScratch { directory in
            let path = directory + "/state"
            try WholeFile.replace(path, with: [1])
            // What a crash between write and rename leaves.
            _ = try Descriptor(opening: path + ".new", .writeOnly, .create, permissions: 0o644)
            try WholeFile.replace(path, with: [2], permissions: 0o600)
            #expect(try WholeFile.read(path) == [2])
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test(.enabled(if: isSuperuser)) func failedReplacementKeepsTheOldContents() throws {
        try withTinyDisk(bytes: 1 << 20) { directory in
            let path = directory + "/state"
            try WholeFile.replace(path, with: [1, 2, 3])
            let error = #expect(throws: DiskError.self) {
                try WholeFile.replace(path, with: [UInt8](repeating: 1, count: 2 << 20))
            }
            #expect(error?.isNoSpace == true)
            #expect(try WholeFile.read(path) == [1, 2, 3])
            #expect(try Directory.list(directory) == ["state"])
        }
    }

    @Test func readersSeeOldOrNewContentsOnly() throws {
        try withScratch { directory in
            let path = directory + "/state"
            let old = [UInt8](repeating: 1, count: 50_000)
            let new = [UInt8](repeating: 2, count: 30_000)
            try WholeFile.replace(path, with: old)
            let writer = try Thread.spawn("writer") {
                for turn in 0..<50 {
                    try? WholeFile.replace(path, with: turn.isMultiple(of: 2) ? new : old)
                }
            }
            for _ in 0..<500 {
                let seen = try WholeFile.read(path)
                #expect(seen == old || seen == new)
            }
            writer.join()
        }
    }

    @Test func creationRefusesWhatIsThere() throws {
        try withScratch { directory in
            let path = directory + "/key"
            try WholeFile.create(path, with: [1], permissions: 0o600)
            let error = #expect(throws: DiskError.self) {
                try WholeFile.create(path, with: [2])
            }
            #expect(error?.isExists == true)
            #expect(try WholeFile.read(path) == [1])
            #expect(try Directory.list(directory) == ["key"])
        }
    }

    @Test func tooLongFileIsRefused() throws {
        try withScratch { directory in
            let path = directory + "/a"
            try WholeFile.replace(path, with: [1, 2, 3, 4])
            #expect(try WholeFile.read(path, limit: 4) == [1, 2, 3, 4])
            let error = #expect(throws: DiskError.self) { try WholeFile.read(path, limit: 3) }
            #expect(error?.errno == EFBIG)
        }
    }

    @Test func removalOfAMissingFileIsNothing() throws {
        try withScratch { directory in
            try WholeFile.remove(directory + "/none")
            #expect(!WholeFile.exists(directory + "/none"))
        }
    }
}
