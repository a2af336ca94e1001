import Disk
import Glibc
import Home
import Logging
import Testing

struct SupervisedChildTests {
    private func child(_ script: String, in directory: String) -> SupervisedChild {
        SupervisedChild(
            name: "daemon",
            program: "/bin/sh",
            arguments: ["-c", script],
            logPath: directory + "/daemon.log",
            logger: Logger(label: "test")
        )
    }

    private func eventually(_ condition: () -> Bool) -> Bool {
        let deadline = Clock.monotonic() + .seconds(30)
        while Clock.monotonic() < deadline {
            if condition() { return true }
            sched_yield()
        }
        return false
    }

    @Test func killedDaemonIsStartedAgain() throws {
        try withHome { home in
            try Directory.make(home.path)
            let child = child("echo up; exec cat", in: home.path)
            try child.start()
            #expect(eventually { child.pid != nil })
            let first = try #require(child.pid)
            kill(first, SIGKILL)
            #expect(eventually { child.pid.map { $0 != first } ?? false })
            #expect(child.starts == 2)
            #expect(child.lastEnd == "was killed by signal 9; see \(child.logPath)")
            child.stop()
            #expect(child.pid == nil)
            #expect(kill(first, 0) == -1)
        }
    }

    @Test func daemonThatEndsAtOnceIsNotStartedInALoop() throws {
        try withHome { home in
            try Directory.make(home.path)
            let child = child("exit 3", in: home.path)
            try child.start()
            #expect(eventually { child.lastEnd != nil })
            #expect(child.lastEnd == "exited with status 3; see \(child.logPath)")
            #expect(child.starts <= 2)
            child.stop()
        }
    }

    @Test func stopEndsADaemonBetweenTwoRuns() throws {
        try withHome { home in
            try Directory.make(home.path)
            let missing = SupervisedChild(
                name: "daemon",
                program: "/no/such/program",
                arguments: [],
                logPath: home.path + "/daemon.log",
                logger: Logger(label: "test")
            )
            try missing.start()
            #expect(eventually { missing.lastEnd != nil })
            missing.stop()
            #expect(missing.starts == 0)
        }
    }

    @Test func longLogIsPutAside() throws {
        try withHome { home in
            try Directory.make(home.path)
            let log = home.path + "/daemon.log"
            try WholeFile.replace(log, with: [UInt8](repeating: 10, count: (1 << 20) + 1))
            let child = child("echo new; exec cat", in: home.path)
            try child.start()
            #expect(eventually { (try? WholeFile.read(log)) == Array("new\n".utf8) })
            child.stop()
            #expect(WholeFile.exists(log + ".old"))
        }
    }
}
