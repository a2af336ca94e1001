/// Shamir's sharing of a secret (Communications of the ACM 22, 1979): of each byte a polynomial of
/// degree k − 1 whose value at 0 is the byte, and whose values elsewhere are the shares.
///
/// Any k shares give the secret, and k − 1 say nothing about it, whatever is computed.
enum SecretSharing {
    /// The shares' bytes at x = 1…`n`, in this order.
    ///
    /// `coefficients` are random bytes, k − 1 for each of the secret; those of one byte stand
    /// together, the lowest power first.
    static func split(
        _ secret: [UInt8],
        k: Int,
        n: Int,
        coefficients: [UInt8]
    ) -> [[UInt8]] {
        precondition(1 <= k && k <= n && n <= 255, "there are 255 places beside 0")
        precondition(coefficients.count == secret.count * (k - 1))
        return (1...n).map { x in
            secret.indices.map { index in
                let own = coefficients[index * (k - 1)..<(index + 1) * (k - 1)]
                return value(of: own, constant: secret[index], at: UInt8(x))
            }
        }
    }

    /// Horner's rule.
    private static func value(
        of coefficients: ArraySlice<UInt8>,
        constant: UInt8,
        at x: UInt8
    ) -> UInt8 {
        var sum: UInt8 = 0
        for coefficient in coefficients.reversed() {
            sum = GaloisField.product(sum ^ coefficient, x)
        }
        return sum ^ constant
    }

    /// The bytes at `x` of the polynomials through `points`: at 0 the secret.
    ///
    /// Lagrange's interpolation. The points' places differ, and they have equally many bytes.
    static func bytes(at x: UInt8, through points: [(x: UInt8, bytes: [UInt8])]) -> [UInt8] {
        precondition(Set(points.map(\.x)).count == points.count && !points.isEmpty)
        var sum = [UInt8](repeating: 0, count: points[0].bytes.count)
        for point in points {
            var weight: UInt8 = 1
            for other in points where other.x != point.x {
                let quotient = GaloisField.product(
                    x ^ other.x,
                    GaloisField.inverse(point.x ^ other.x)
                )
                weight = GaloisField.product(weight, quotient)
            }
            for index in sum.indices {
                sum[index] ^= GaloisField.product(weight, point.bytes[index])
            }
        }
        return sum
    }
}
