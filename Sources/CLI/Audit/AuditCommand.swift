import ArgumentParser

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Prove that what is placed is there, and show the receipts.",
        subcommands: [AuditNow.self, AuditLog.self, AuditExport.self, AuditVerify.self]
    )
}
