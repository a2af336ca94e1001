package import Primitives
package import Reliability

/// A network, its misfortunes, and the rule by which it is repaired.
package struct ChurnConfiguration: Sendable {
    package var seed: UInt64 = 1
    package var providers = 1000
    package var stripes = 20_000
    package var days = 365
    package var code: ErasureCode
    package var policy: RepairPolicy
    /// Bytes of a shard.
    package var shardBytes = Geometry.shardBytesMax
    /// What all repairs together may move in a second.
    package var repairBytesPerSecond = 16 << 20
    /// Days of watching before the stripes are placed, so that scores mean something.
    package var warmUpDays = 14
    /// Providers that fail together: an owner, a site, a network.
    package var providersPerDomain = 10
    /// Shards that a provider has room for, as a multiple of the mean.
    package var capacityFactor = 3.0
    /// Domains destroyed a year, as a share; with all their providers.
    package var domainLossPerYear = 0.03
    /// Times a year that a domain is offline as a whole.
    package var domainOutagesPerYear = 2.0
    /// Disks lost a year, as a share of providers; half of them take half of the shards.
    package var diskLossPerYear = 0.03
    /// Shards that rot unnoticed in a year, as a share.
    package var rotPerYear = 0.001
    /// Absences of 2 to 20 days, after which the shards are back.
    package var longAbsencesPerYear = 0.3
    /// A provider's scrub comes round in so many days.
    package var scrubDays = 30.0
    /// How long the copy of a holder that came back late is kept.
    package var spareHours = 24.0

    package init(code: ErasureCode, policy: RepairPolicy) {
        self.code = code
        self.policy = policy
    }
}

/// How a provider comes and goes.
enum ChurnClass: Int, CaseIterable, Sendable {
    /// Server or board at home, on day and night.
    case always
    /// Desktop, off at night.
    case nightly
    /// Comes and goes over days.
    case flaky

    /// Share of providers.
    var share: Double {
        switch self {
        case .always: 0.5
        case .nightly: 0.3
        case .flaky: 0.2
        }
    }

    /// Share that leaves for good in a year.
    var departuresPerYear: Double {
        switch self {
        case .always: 0.05
        case .nightly: 0.10
        case .flaky: 0.20
        }
    }
}
