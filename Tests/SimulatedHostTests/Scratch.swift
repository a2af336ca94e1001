import Glibc
import Testing

/// A fresh directory of the real disk; the caller removes it.
func makeScratch() throws -> String {
    let template = Array("/tmp/mefs-test-XXXXXX".utf8CString)
    return try template.withUnsafeBufferPointer { source in
        var bytes = Array(source)
        return try bytes.withUnsafeMutableBufferPointer { buffer in
            let path = buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
            return try #require(path)
        }
    }
}
