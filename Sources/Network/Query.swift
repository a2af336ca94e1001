package import Wire

/// A question to a provider that has exactly one kind of answer.
package protocol ProviderQuery: Message {
    associatedtype Answer: Message
    static var operation: Operation { get }
    /// Time for the answer, from when the question was sent.
    static var timeout: Duration { get }
}

/// A question to a keeper that has exactly one kind of answer.
package protocol KeeperQuery: Message {
    associatedtype Answer: Message
    static var operation: Operation { get }
    /// Time for the answer, from when the question was sent.
    static var timeout: Duration { get }
    /// Whether all keepers are told, and not the first that answers: keepers do not tell each
    /// other.
    static var isForEveryKeeper: Bool { get }
}

extension ProviderQuery {
    /// What needs a few reads at most.
    package static var timeout: Duration { RemoteNetwork.getTimeout }
}

extension KeeperQuery {
    /// As for everything that a keeper answers from its memory or with one transaction.
    package static var timeout: Duration { KeeperClient.timeout }

    /// The first that answers.
    package static var isForEveryKeeper: Bool { false }
}

/// An empty body: the question says all, or the answer is that it was done.
package struct Nothing: Hashable, Message {
    package init() {}

    package func write(to writer: inout ByteWriter) {}

    package init(from reader: inout ByteReader) throws(DecodeError) {}
}
