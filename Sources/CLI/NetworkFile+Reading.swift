import Control
import Disk
import Network

extension NetworkFile {
    /// Reads and checks the network file that a user named.
    ///
    /// - Throws: with the path; `notFound` if it is missing, `usage` if it is no network file.
    init(readingFrom path: String) throws(ControlFailure) {
        let bytes: [UInt8]
        do throws(DiskError) {
            bytes = try WholeFile.read(path, limit: Self.fileBytesMax)
        } catch {
            throw ControlFailure(error)
        }
        do throws(NetworkFileError) {
            try self.init(parsing: bytes)
        } catch {
            throw ControlFailure(.usage, "\(path): \(error)")
        }
    }
}
