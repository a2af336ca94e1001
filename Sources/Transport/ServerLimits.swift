/// What one listening node bears from its peers, so that none of them, hostile or broken, takes
/// the memory or the threads of all.
package struct ServerLimits: Sendable {
    /// Connections at once; a further one is closed at once.
    ///
    /// 128: each costs about 100 KiB of TLS and socket buffers when idle, and the frame that is
    /// arriving.
    package var connectionsMax = 128
    /// The most bytes of a request after its length.
    package var frameBytesMax = Frame.lengthMax
    /// Time from the TCP connection to the end of the TLS handshake.
    package var handshakeTimeout = Duration.seconds(10)
    /// Time for one frame to arrive from its first byte to its last: 4 MiB in it is 0.5 Mbit/s.
    package var frameTimeout = Duration.seconds(60)
    /// A connection without a request for so long is closed; clients close theirs at 60 s.
    package var idleTimeout = Duration.seconds(180)
    /// Requests of one connection under way at once, from their arrival until the reply is with
    /// the system; more are left in the socket, which slows the peer down.
    package var requestsPerConnectionMax = 64
    /// Bytes of request and reply bodies under way for one connection, and for all of them; a
    /// connection with nothing under way always gets one more.
    package var bytesPerConnectionMax = 16 << 20
    package var bytesMax = 64 << 20

    package init() {}
}
