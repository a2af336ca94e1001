/// The field of 256 elements that AES uses: bytes, added by XOR, multiplied modulo
/// x⁸ + x⁴ + x³ + x + 1 (0x11b).
///
/// Without tables or branches, whose timing would tell of secrets.
enum GaloisField {
    /// x⁸ reduced.
    private static let reduction: UInt8 = 0x1b

    static func product(_ one: UInt8, _ other: UInt8) -> UInt8 {
        var sum: UInt8 = 0
        var multiple = one
        for bit in 0..<8 {
            // 0xff where the bit is set, else 0.
            sum ^= multiple & (0 &- (other >> UInt8(bit) & 1))
            multiple = multiple << 1 ^ (reduction & (0 &- (multiple >> 7)))
        }
        return sum
    }

    /// The element whose product with `element` is 1; 0 of 0.
    static func inverse(_ element: UInt8) -> UInt8 {
        // The 254th power: the multiplicative group has 255 elements.
        var power = element
        var result: UInt8 = 1
        for _ in 1..<8 {
            power = product(power, power)
            result = product(result, power)
        }
        return result
    }
}
