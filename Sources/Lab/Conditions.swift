import Disk
import Glibc
import Primitives

/// When, on what and how figures were taken.
struct Conditions: Encodable, CustomStringConvertible {
    let date: String
    let machine: String
    let command: String

    init() {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        let numbers = [Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
        date =
            "\(Int(parts.tm_year) + 1900)"
            + numbers.map { $0 < 10 ? "-0\($0)" : "-\($0)" }.joined()
        machine = "\(Host.processorCount()) vCPU, \(Self.processorModel)"
        command = (["mefs-lab"] + CommandLine.arguments.dropFirst()).joined(separator: " ")
    }

    var description: String { "\(date), \(machine); \(command)" }

    private static var processorModel: String {
        let text = (try? WholeFile.read("/proc/cpuinfo", limit: 1 << 20)) ?? []
        let line = String(decoding: text, as: UTF8.self).split(separator: "\n")
            .first { $0.hasPrefix("model name") }
        guard let line, let colon = line.firstIndex(of: ":") else { return "unknown processor" }
        return line[line.index(after: colon)...].split(separator: " ").joined(separator: " ")
    }
}

/// What a thread of ours has used so far.
struct Usage {
    private(set) var processorSeconds: Double
    private(set) var wallSeconds: Double
    /// System calls that read, and the bytes they gave, of the whole process.
    private(set) var reads: Int
    private(set) var readBytes: Int

    static func now() -> Usage {
        let io = (try? WholeFile.read("/proc/self/io", limit: 4096)) ?? []
        var fields: [Substring: Int] = [:]
        for line in String(decoding: io, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2 { fields[parts[0]] = Int(parts[1]) }
        }
        return Usage(
            processorSeconds: seconds(CLOCK_THREAD_CPUTIME_ID),
            wallSeconds: seconds(CLOCK_MONOTONIC),
            reads: fields["syscr:"] ?? 0,
            readBytes: fields["rchar:"] ?? 0
        )
    }

    /// What was used since `earlier`, less what measuring it cost.
    func since(_ earlier: Usage, overhead: Usage? = nil) -> Usage {
        Usage(
            processorSeconds: processorSeconds - earlier.processorSeconds
                - (overhead?.processorSeconds ?? 0),
            wallSeconds: wallSeconds - earlier.wallSeconds - (overhead?.wallSeconds ?? 0),
            reads: reads - earlier.reads - (overhead?.reads ?? 0),
            readBytes: readBytes - earlier.readBytes - (overhead?.readBytes ?? 0)
        )
    }

    /// What two measurements right after each other show.
    static func overhead() -> Usage {
        _ = now()
        let first = now()
        return now().since(first)
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
