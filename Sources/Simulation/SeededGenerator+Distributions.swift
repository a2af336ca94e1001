import Glibc
import Primitives

/// What simulations draw.
extension SeededGenerator {
    /// Evenly in 0..<1.
    mutating func uniform() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// Evenly in `range`.
    mutating func uniform(_ range: Range<Double>) -> Double {
        range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
    }

    /// Evenly in 0..<count; `count` is above 0.
    mutating func index(_ count: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(count)).high)
    }

    mutating func chance(_ probability: Double) -> Bool {
        uniform() < probability
    }

    /// Waiting time of events that come at random, `mean` apart.
    mutating func exponential(mean: Double) -> Double {
        -mean * log(1 - uniform())
    }

    /// Heavy-tailed lengths (Lomax): mostly short, with a mean of scale / (shape - 1).
    mutating func heavyTailed(scale: Double, shape: Double) -> Double {
        scale * (pow(1 - uniform(), -1 / shape) - 1)
    }
}
