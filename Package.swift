// swift-tools-version: 6.2
import PackageDescription

// The module graph, lowest first. Arrows point up this file only: a module may
// need what stands above it, never what stands below.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

func module(
    _ name: String,
    needs: [Target.Dependency] = [],
    path: String? = nil,
    exclude: [String] = [],
    resources: [Resource] = []
) -> Target {
    .target(
        name: name,
        dependencies: needs,
        path: path,
        exclude: exclude,
        resources: resources,
        swiftSettings: strict
    )
}

func system(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt])])
}

func tests(_ module: String, needs: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(module)Tests",
        dependencies: [.byName(name: module)] + needs,
        swiftSettings: strict
    )
}

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOTLS", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
]
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser",
    package: "swift-argument-parser"
)

let package = Package(
    name: "mefs",
    products: [
        .executable(name: "mefs", targets: ["mefs"]),
        .executable(name: "mount.mefs", targets: ["MountMain"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // Libraries of the system.
        system("COpenSSL", pkgConfig: "openssl", apt: "libssl-dev"),
        system("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
        system("CSodium", pkgConfig: "libsodium", apt: "libsodium-dev"),
        system("CXXHash", pkgConfig: "libxxhash", apt: "libxxhash-dev"),
        system("CISAL", pkgConfig: "libisal", apt: "libisal-dev"),
        system("CSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),
        system("CFuse", pkgConfig: "fuse3", apt: "libfuse3-dev"),

        // Pure: no I/O, clock or randomness of their own.
        module("Primitives"),
        module("Wire", needs: ["Primitives"]),
        module("Erasure", needs: ["Primitives", "CISAL"]),
        .target(name: "CSealing", dependencies: ["COpenSSL"]),
        module(
            "Sealing",
            needs: ["Primitives", "CSealing", "CSodium", "CZstd", "CXXHash"],
            exclude: ["english.LICENSE.txt"],
            resources: [.embedInCode("english.txt")]
        ),
        module("Placement", needs: ["Primitives", "Sealing"]),
        module("Proofs", needs: ["Primitives", "Wire", "Sealing"]),
        module("Reliability", needs: ["Primitives", "Wire", "Sealing", "Proofs"]),
        module("Lease", needs: ["Primitives", "Wire"]),

        // Effects.
        .target(name: "CLinux"),
        module("Disk", needs: ["Primitives", "CLinux"]),
        module("SQLite", needs: ["CSQLite"]),
        module("Metadata", needs: ["Primitives", "Wire", "Disk", "SQLite"]),
        module("Cache", needs: ["Primitives", "Disk"]),
        module("Transport", needs: ["Primitives", "Wire", "Sealing", "Disk", log] + nio),
        module(
            "Network",
            needs: [
                "Primitives", "Wire", "Sealing", "Proofs", "Reliability", "Lease", "Disk",
                "Transport", log,
            ]
        ),
        module(
            "Auditor",
            needs: [
                "Primitives", "Wire", "Sealing", "Erasure", "Placement", "Proofs", "Reliability",
                "Disk", "SQLite", "Transport", "Network", log,
            ]
        ),
        module(
            "Volume",
            needs: [
                "Primitives", "Wire", "Erasure", "Sealing", "Placement", "Proofs", "Reliability",
                "Disk", "Metadata", "Cache", "Transport", "Network", "Auditor", log,
            ]
        ),
        module(
            "Node",
            needs: [
                "Primitives", "Wire", "Sealing", "Proofs", "Reliability", "Lease", "Disk",
                "SQLite", "Transport", "Network", "Auditor", log,
            ]
        ),
        module(
            "Simulation",
            needs: ["Primitives", "Sealing", "Proofs", "Reliability"]
        ),
        module("Control", needs: ["Primitives", "Disk", "CLinux"]),

        // The engine in a world made from one seed: threads, clock, disks and network.
        module(
            "SimulatedHost",
            needs: ["Primitives", "CSQLite", "CLinux", "Sealing", "Disk", "SQLite"]
        ),
        module(
            "Trials",
            needs: [
                "Primitives", "Erasure", "Sealing", "Placement", "Disk", "SQLite", "Metadata",
                "Cache", "Lease", "Transport", "Network", "Volume", "SimulatedHost", log,
            ]
        ),
        module(
            "Home",
            needs: ["Primitives", "Sealing", "Lease", "Disk", "Network", "Transport", log]
        ),

        // The kernel's side.
        .target(name: "CFuseShim", dependencies: ["CFuse"], cSettings: [.define("_GNU_SOURCE")]),
        module("FUSE", needs: ["Primitives", "CFuse", "CFuseShim"]),
        module(
            "Mount",
            needs: [
                "Primitives", "CLinux", "Disk", "FUSE", "Sealing", "Proofs", "Reliability", "Lease",
                "Metadata", "Transport", "Network", "Auditor", "Volume", "Control", "Home", log,
            ],
            path: "Mount/Driver"
        ),

        // Front doors.
        .executableTarget(
            name: "MountMain",
            dependencies: ["Mount"],
            path: "Mount/Main",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "mefs",
            dependencies: [
                "Primitives", "Wire", "Sealing", "Proofs", "Reliability", "Disk", "Metadata",
                "Cache", "Network", "Transport", "Auditor", "Volume", "Node", "Control", "Home",
                log, arguments,
            ],
            path: "Sources/CLI",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "mefs-lab",
            dependencies: [
                "Primitives", "Wire", "Erasure", "Sealing", "Proofs", "Reliability", "Disk",
                "Metadata", "Network", "Transport", "Volume", "Node", "Simulation",
                "SimulatedHost", "Trials", log, arguments,
            ],
            path: "Sources/Lab",
            swiftSettings: strict
        ),

        tests("Primitives"),
        tests("Wire", needs: ["Primitives"]),
        tests("Erasure", needs: ["Primitives"]),
        tests("Sealing", needs: ["Primitives"]),
        tests("Placement", needs: ["Primitives"]),
        tests("Proofs", needs: ["Primitives", "Wire", "Sealing", "Erasure"]),
        tests("Reliability", needs: ["Primitives", "Wire", "Sealing", "Proofs"]),
        tests("Lease", needs: ["Primitives", "Wire", "Sealing", "Network", "Transport"]),
        tests("Simulation", needs: ["Primitives", "Proofs", "Reliability"]),
        tests(
            "Auditor",
            needs: [
                "Primitives", "Wire", "Sealing", "Erasure", "Proofs", "Reliability", "Disk",
                "Transport", "Network", log,
            ]
        ),
        tests("Disk"),
        tests("SimulatedHost", needs: ["Primitives", "Disk", "SQLite"]),
        tests(
            "Trials",
            needs: [
                "Primitives", "Sealing", "Disk", "Metadata", "Network", "Transport", "Volume",
                "SimulatedHost", log,
            ]
        ),
        tests("Metadata", needs: ["Primitives", "Disk", "SQLite"]),
        tests("Cache", needs: ["Primitives", "Disk"]),
        tests("Control", needs: ["Primitives", "Disk"]),
        tests("Transport", needs: ["Primitives", "Wire", "Sealing", "Disk", log]),
        tests(
            "Node",
            needs: [
                "Primitives", "Wire", "Sealing", "Erasure", "Proofs", "Reliability", "Disk",
                "Transport", "Network", "Auditor", log,
            ]
        ),
        tests(
            "Home",
            needs: ["Primitives", "Sealing", "Lease", "Disk", "Transport", "Network", log]
        ),
        tests(
            "Volume",
            needs: [
                "Primitives", "Wire", "Sealing", "Proofs", "Reliability", "Disk", "SQLite",
                "Metadata", "Cache", "Transport", "Network", "Auditor", "Node", log,
            ]
        ),
        tests(
            "Mount",
            needs: [
                "Primitives", "Sealing", "Proofs", "Disk", "SQLite", "Metadata", "Transport",
                "Network", "Volume", "Control", "Home", "FUSE", log,
            ]
        ),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ]
)
