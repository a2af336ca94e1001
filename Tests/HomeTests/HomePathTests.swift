import Disk
import Home
import Testing

struct HomePathTests {
    @Test(arguments: [
        (["MEFS_HOME": "/srv/m/", "HOME": "/home/a"], false, "/srv/m"),
        (["MEFS_HOME": "/srv/m"], true, "/srv/m"),
        (["HOME": "/root", "XDG_DATA_HOME": "/data"], true, "/var/lib/mefs"),
        (["HOME": "/home/a", "XDG_DATA_HOME": "/data"], false, "/data/mefs"),
        (["HOME": "/home/a", "XDG_DATA_HOME": "relative"], false, "/home/a/.local/share/mefs"),
        (
            ["HOME": "/home/a", "XDG_DATA_HOME": "", "MEFS_HOME": ""], false,
            "/home/a/.local/share/mefs"
        ),
    ])
    func environmentChoosesTheDirectory(
        environment: [String: String],
        isSuperuser: Bool,
        path: String
    ) throws {
        #expect(try Home(environment: environment, isSuperuser: isSuperuser).path == path)
    }

    @Test func noVariableAtAllIsAnError() {
        let error = #expect(throws: HomeError.self) {
            try Home(environment: [:], isSuperuser: false)
        }
        #expect(error?.code == .usage)
    }

    @Test func relativePathIsBelowTheWorkingDirectory() throws {
        let home = try Home(path: "mefs")
        #expect(home.path.hasPrefix("/") && home.path.hasSuffix("/mefs"))
    }

    @Test func environmentOfTheProcessIsSeen() {
        #expect(Home.processEnvironment["PATH"]?.isEmpty == false)
    }

    @Test(arguments: ["home", "a", "Photos-2024_x.y", "0", "_", String(repeating: "n", count: 64)])
    func nameIsTaken(name: String) throws {
        try VolumeName.check(name)
    }

    @Test(arguments: [
        "", ".", "..", ".hidden", "-o", "a/b", "a b", "a\nb", "é", "a\0b",
        String(repeating: "n", count: 65),
    ])
    func nameIsRefused(name: String) {
        let error = #expect(throws: HomeError.self) { try VolumeName.check(name) }
        #expect(error?.code == .usage)
    }
}
