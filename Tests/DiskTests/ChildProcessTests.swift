import Disk
import Glibc
import Testing

struct ChildProcessTests {
    @Test func endIsTold() throws {
        #expect(try ChildProcess("/bin/true", []).wait() == .exited(0))
        let child = try ChildProcess("/bin/sh", ["-c", "exit 7"])
        #expect(child.wait() == .exited(7))
        #expect(child.wait() == .exited(7))
        child.signal(SIGKILL)
    }

    @Test func missingProgramIsToldOf() {
        let error = #expect(throws: DiskError.self) { try ChildProcess("/no/such/program", []) }
        #expect(error?.description == "cannot start /no/such/program: No such file or directory")
    }

    @Test func childEndsWhenItsInputCloses() throws {
        let child = try ChildProcess("/bin/cat", [], input: .pipe, output: .null)
        #expect(child.wait(for: .milliseconds(20)) == nil)
        child.closeInput()
        #expect(child.wait(for: .seconds(30)) == .exited(0))
    }

    @Test func signalEndsTheChild() throws {
        let child = try ChildProcess("/bin/cat", [], input: .pipe, output: .null)
        child.signal(SIGTERM)
        #expect(child.wait() == .signalled(SIGTERM))
    }

    @Test func outputIsAppendedToTheFile() throws {
        try withScratch { directory in
            let log = directory + "/log"
            for word in ["one", "two"] {
                let script = "echo \(word); echo \(word) >&2"
                let child = try ChildProcess("/bin/sh", ["-c", script], output: .file(log))
                #expect(child.wait() == .exited(0))
            }
            let text = String(decoding: try WholeFile.read(log), as: UTF8.self)
            #expect(text == "one\none\ntwo\ntwo\n")
        }
    }

    @Test func childInheritsNoDescriptorNorBlockedSignal() throws {
        try withScratch { directory in
            let log = directory + "/log"
            // Without close-on-exec, as a library would open it.
            let stray = open("/dev/null", O_RDONLY)
            defer { close(stray) }
            let script = "ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status"
            // From a thread of ours, where signals are blocked.
            let thread = try Thread.spawn("spawn") {
                let child = try? ChildProcess("/bin/sh", ["-c", script], output: .file(log))
                #expect(child?.wait() == .exited(0))
            }
            thread.join()
            let text = String(decoding: try WholeFile.read(log), as: UTF8.self)
            // Input, two outputs, and the directory that `ls` reads.
            #expect(text == "4\nSigBlk:\t0000000000000000\n")
        }
    }

    @Test func pipesEndWithTheirWriters() throws {
        var pipe: Pipe? = try Pipe()
        let reading = try #require(pipe?.reading)
        try pipe?.writing.append([1, 2])
        pipe = nil
        var bytes = [UInt8](repeating: 0, count: 4)
        #expect(read(reading.fd, &bytes, 4) == 2)
        #expect(read(reading.fd, &bytes, 4) == 0)
    }
}
