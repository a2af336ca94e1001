/// GF(2^8) with the polynomial 0x11d by tables, and a decoder by Gaussian elimination: slow, plain,
/// and sharing nothing with ISA-L.
struct TableField {
    private let product: [[UInt8]]

    init() {
        product = (0...255).map { a in (0...255).map { b in Self.slowProduct(UInt8(a), UInt8(b)) } }
    }

    private static func slowProduct(_ a: UInt8, _ b: UInt8) -> UInt8 {
        var result: UInt16 = 0
        var shifted = UInt16(a)
        for bit in 0..<8 {
            if b >> UInt8(bit) & 1 == 1 { result ^= shifted }
            shifted <<= 1
            if shifted & 0x100 != 0 { shifted ^= 0x11d }
        }
        return UInt8(result)
    }

    func multiply(_ a: UInt8, _ b: UInt8) -> UInt8 { product[Int(a)][Int(b)] }

    func inverse(_ a: UInt8) -> UInt8 {
        UInt8(product[Int(a)].firstIndex(of: 1) ?? 0)
    }

    /// Row `index` of the code's matrix.
    func row(_ index: Int, k: Int) -> [UInt8] {
        (0..<k).map { column in
            index < k ? (index == column ? 1 : 0) : inverse(UInt8(index ^ column))
        }
    }

    /// All n shards of the k data shards.
    func encode(_ data: [[UInt8]], m: Int) -> [[UInt8]] {
        let k = data.count
        return data + (k..<k + m).map { index in combine(row(index, k: k), data) }
    }

    func combine(_ coefficients: [UInt8], _ shards: [[UInt8]]) -> [UInt8] {
        var sum = [UInt8](repeating: 0, count: shards[0].count)
        for (coefficient, shard) in zip(coefficients, shards) {
            for position in sum.indices {
                sum[position] ^= multiply(coefficient, shard[position])
            }
        }
        return sum
    }

    /// The k data shards from any k shards.
    func decode(_ present: [(index: Int, bytes: [UInt8])]) -> [[UInt8]] {
        let k = present.count
        var rows = present.map { row($0.index, k: k) }
        var shards = present.map(\.bytes)
        for column in 0..<k {
            guard let pivot = (column..<k).first(where: { rows[$0][column] != 0 }) else {
                return []
            }
            rows.swapAt(column, pivot)
            shards.swapAt(column, pivot)
            let scale = inverse(rows[column][column])
            rows[column] = rows[column].map { multiply(scale, $0) }
            shards[column] = shards[column].map { multiply(scale, $0) }
            for other in 0..<k where other != column && rows[other][column] != 0 {
                let factor = rows[other][column]
                rows[other] = zip(rows[other], rows[column]).map { $0 ^ multiply(factor, $1) }
                shards[other] = zip(shards[other], shards[column])
                    .map { $0 ^ multiply(factor, $1) }
            }
        }
        return shards
    }
}
