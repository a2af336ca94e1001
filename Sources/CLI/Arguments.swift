import ArgumentParser
package import Primitives
package import Transport

// Types of the lower modules as the command line takes them.

extension NodeAddress: ExpressibleByArgument {
    /// Parses "host:port".
    package init?(argument: String) { self.init(argument) }
}

extension ErasureCode: ExpressibleByArgument {
    /// The code where nothing else is said: any two of six providers may be lost.
    static var standard: ErasureCode {
        guard let code = ErasureCode(k: 4, m: 2) else { preconditionFailure("4+2 is a code") }
        return code
    }

    /// Parses "4+2".
    package init?(argument: String) { self.init(argument) }
}
