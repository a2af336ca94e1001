/// Bytes that never appear in a log: whoever prints one gets its type's name.
package protocol Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{}

extension Secret {
    package var description: String { "\(Self.self)(secret)" }

    package var debugDescription: String { description }

    package var customMirror: Mirror { Mirror(self, children: []) }
}
