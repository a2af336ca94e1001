import CISAL
package import Primitives

/// Systematic Reed-Solomon over GF(2^8) with a Cauchy matrix, by ISA-L.
///
/// Of the n x k matrix the first k rows are the identity, and row k + i has 1 / ((k + i) xor j) in
/// column j, so that every k rows can be inverted. (`gf_gen_rs_matrix` lacks that for wide codes.)
/// Works byte by byte: the same range of any k shards gives that range of all others.
package struct ErasureCoder: Sendable {
    package let code: ErasureCode

    /// n rows of k coefficients.
    private let matrix: [UInt8]
    /// The parity rows, as ISA-L's kernels want them.
    private let parityTables: [UInt8]

    /// Bytes of a coefficient in ISA-L's tables.
    private static let tableBytes = 32
    /// From so many shards on, encoding goes strip by strip.
    private static let wideShards = 30
    /// ISA-L reads all data once for every six outputs; strips of a wide code stay in the
    /// second-level cache meanwhile, which more than doubles the speed at 29+51.
    private static let stripBytes = 16 << 10
    /// ISA-L counts in int.
    private static let partBytesMax = 1 << 30

    package init(_ code: ErasureCode) {
        self.code = code
        var matrix = [UInt8](repeating: 0, count: code.n * code.k)
        gf_gen_cauchy1_matrix(&matrix, Int32(code.n), Int32(code.k))
        self.matrix = matrix
        parityTables = Self.tables(
            rows: Array(matrix[(code.k * code.k)...]),
            count: code.m,
            k: code.k
        )
    }

    /// Computes parity: of n buffers of equal length the first k are read, the last m written.
    package func encode(_ shards: [UnsafeMutableRawBufferPointer]) {
        precondition(shards.count == code.n, "one buffer per shard")
        precondition(shards.allSatisfy { $0.count == shards[0].count }, "shards of one length")
        multiply(
            parityTables,
            sources: shards[..<code.k].map { UnsafeRawBufferPointer($0) },
            targets: Array(shards[code.k...])
        )
    }

    /// Rebuilds the shards `wanted`, data or parity, from any k others.
    ///
    /// `present` may hold more than k; all buffers have one length, which may be a part of a shard
    /// as long as it is the same part of each.
    package func reconstruct(
        _ wanted: [Int],
        from present: [(index: Int, bytes: UnsafeRawBufferPointer)],
        into targets: [UnsafeMutableRawBufferPointer]
    ) throws(ErasureError) {
        try check(wanted, present, targets)
        let used = Array(present.prefix(code.k))
        let rows = try decodingRows(of: wanted, from: used.map(\.index))
        multiply(
            Self.tables(rows: rows, count: wanted.count, k: code.k),
            sources: used.map(\.bytes),
            targets: targets
        )
    }

    private func check(
        _ wanted: [Int],
        _ present: [(index: Int, bytes: UnsafeRawBufferPointer)],
        _ targets: [UnsafeMutableRawBufferPointer]
    ) throws(ErasureError) {
        var seen: Set<Int> = []
        for (index, _) in present {
            guard (0..<code.n).contains(index), seen.insert(index).inserted else {
                throw .badIndex(index)
            }
        }
        for index in wanted where !(0..<code.n).contains(index) { throw .badIndex(index) }
        guard present.count >= code.k else {
            throw .tooFewShards(needed: code.k, present: present.count)
        }
        let length = present[0].bytes.count
        guard targets.count == wanted.count, targets.allSatisfy({ $0.count == length }),
            present.allSatisfy({ $0.bytes.count == length })
        else { throw .unequalBuffers }
    }

    /// The coefficients that make each wanted shard from the k shards `used`.
    private func decodingRows(
        of wanted: [Int],
        from used: [Int]
    ) throws(ErasureError) -> [UInt8] {
        let k = code.k
        var chosen = used.flatMap { matrix[$0 * k..<($0 + 1) * k] }
        var inverse = [UInt8](repeating: 0, count: k * k)
        let singular = gf_invert_matrix(&chosen, &inverse, Int32(k))
        precondition(singular == 0, "any k rows of a Cauchy matrix can be inverted")
        var rows: [UInt8] = []
        rows.reserveCapacity(wanted.count * k)
        for index in wanted {
            if index < k {
                rows += inverse[index * k..<(index + 1) * k]
                continue
            }
            for column in 0..<k {
                rows.append(
                    (0..<k).reduce(0) { sum, row in
                        sum ^ gf_mul(matrix[index * k + row], inverse[row * k + column])
                    }
                )
            }
        }
        return rows
    }

    private static func tables(rows: [UInt8], count: Int, k: Int) -> [UInt8] {
        var rows = rows
        var tables = [UInt8](repeating: 0, count: tableBytes * count * k)
        ec_init_tables(Int32(k), Int32(count), &rows, &tables)
        return tables
    }

    /// Each target becomes the sum of all sources, each times its coefficient.
    private func multiply(
        _ tables: [UInt8],
        sources: [UnsafeRawBufferPointer],
        targets: [UnsafeMutableRawBufferPointer]
    ) {
        guard let length = sources.first?.count, length > 0, !targets.isEmpty else { return }
        let part = code.n >= Self.wideShards ? Self.stripBytes : Self.partBytesMax
        var tables = tables
        // ISA-L takes pointers to mutable bytes and writes through those of the targets only.
        let sourceBases = sources.map { UnsafeMutableRawPointer(mutating: $0.baseAddress) }
        var inputs = [UnsafeMutablePointer<UInt8>?](repeating: nil, count: sources.count)
        var outputs = [UnsafeMutablePointer<UInt8>?](repeating: nil, count: targets.count)
        for start in stride(from: 0, to: length, by: part) {
            for (index, base) in sourceBases.enumerated() {
                inputs[index] = base.map { ($0 + start).assumingMemoryBound(to: UInt8.self) }
            }
            for (index, target) in targets.enumerated() {
                outputs[index] = target.baseAddress.map {
                    ($0 + start).assumingMemoryBound(to: UInt8.self)
                }
            }
            ec_encode_data(
                Int32(min(part, length - start)),
                Int32(sources.count),
                Int32(targets.count),
                &tables,
                &inputs,
                &outputs
            )
        }
    }
}
