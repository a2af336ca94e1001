import Primitives
import Testing

struct GeometryTests {
    /// Stored volumes depend on these: a change is a new format version.
    @Test func formatOneKeepsItsSizes() {
        #expect(Geometry.blockBytes == 1_048_576)
        #expect(Geometry.segmentBytes == 65_536)
        #expect(Geometry.segmentsPerBlock == 16)
        #expect(Geometry.shardBytesMax == 4_194_304)
        #expect(Geometry.leafBytes == 1_024)
        #expect(Geometry.nameBytesMax == 255)
    }
}
