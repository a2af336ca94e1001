import Glibc

extension SimulatedWorld {
    private static let hashingVariable = "SWIFT_DETERMINISTIC_HASHING"

    /// Whether `Set` and `Dictionary` keep one order in all runs of this program, as they must for
    /// code that goes through them.
    package static var isHashingDeterministic: Bool { getenv(hashingVariable) != nil }

    /// Starts this program anew with `isHashingDeterministic`, unless it is: Swift looks at the
    /// environment once, before the first line of ours.
    ///
    /// Call it before there are threads or open files that matter.
    package static func restartWithDeterministicHashing() {
        guard !isHashingDeterministic else { return }
        setenv(hashingVariable, "1", 1)
        var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &arguments)
        // Not reached but when /proc is missing; then runs may differ, as before.
        for argument in arguments { free(argument) }
    }
}
