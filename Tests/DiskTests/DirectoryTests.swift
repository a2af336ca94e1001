import Disk
import Glibc
import Testing

struct DirectoryTests {
    @Test func makesMissingParents() throws {
        try withScratch { directory in
            try Directory.make(directory + "/a/b/c")
            try Directory.make(directory + "/a/b/c")
            #expect(Directory.isDirectory(directory + "/a/b/c"))
        }
    }

    @Test func fileInTheWayIsToldOf() throws {
        try withScratch { directory in
            try WholeFile.replace(directory + "/a", with: [])
            #expect(throws: DiskError.self) { try Directory.make(directory + "/a") }
            #expect(throws: DiskError.self) { try Directory.make(directory + "/a/b") }
        }
    }

    @Test func removesATreeWithoutFollowingLinks() throws {
        try withScratch { directory in
            try Directory.make(directory + "/keep")
            try WholeFile.replace(directory + "/keep/file", with: [1])
            try Directory.make(directory + "/tree/x/y")
            try WholeFile.replace(directory + "/tree/x/file", with: [1])
            #expect(symlink(directory + "/keep", directory + "/tree/x/y/link") == 0)
            try Directory.remove(tree: directory + "/tree")
            try Directory.remove(tree: directory + "/tree")
            #expect(try Directory.list(directory) == ["keep"])
            #expect(try WholeFile.read(directory + "/keep/file") == [1])
        }
    }

    @Test(arguments: [
        ("/a/b", "/a"), ("/a/b/", "/a"), ("/a", "/"), ("/", "/"), ("b", "."), ("a/b", "a"),
        ("/a//b", "/a"), ("", "."),
    ])
    func parentIsTheDirectoryAbove(path: String, parent: String) {
        #expect(Directory.parent(of: path) == parent)
    }

    @Test func hostTellsItsBootAndSpace() throws {
        #expect(try Host.bootID().utf8.count == 36)
        #expect(try Host.bootID() == Host.bootID())
        #expect(try Host.freeBytes("/tmp") > 0)
        #expect(try Host.totalBytes("/tmp") >= Host.freeBytes("/tmp"))
        #expect(Host.processorCount() >= 1)
        #expect(try Host.executablePath().hasPrefix("/"))
    }

    @Test func clocksAdvance() {
        let (start, wall) = (Clock.monotonic(), Clock.now())
        Clock.sleep(for: .milliseconds(2))
        #expect(Clock.monotonic() - start >= .milliseconds(2))
        #expect(Clock.now() > wall)
        #expect(Clock.processCPUSeconds() > 0)
    }

    @Test func replacementTakesTheOldFilesName() throws {
        try withScratch { directory in
            try WholeFile.replace(directory + "/old", with: [1])
            try WholeFile.replace(directory + "/new", with: [2])
            try Directory.replace(directory + "/old", with: directory + "/new")
            #expect(try Directory.list(directory) == ["old"])
            #expect(try WholeFile.read(directory + "/old") == [2])
            let error = #expect(throws: DiskError.self) {
                try Directory.replace(directory + "/old", with: directory + "/new")
            }
            #expect(error?.isNotFound == true)
        }
    }
}
