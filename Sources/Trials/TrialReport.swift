package import Disk

/// What came out of a trial.
package struct TrialReport: Sendable {
    package let plan: TrialPlan
    /// Rounds that ended with a crash and were judged after it.
    package var rounds = 0
    package var kills = 0
    package var powerCuts = 0
    /// Crashes while the volume was being opened, that is in the middle of a recovery.
    package var crashesWhileOpening = 0
    /// Operations of clients that were answered.
    package var operations = 0
    /// Bytes read and compared after recoveries.
    package var bytesJudged = 0
    /// After which step of the engine the crashes fell.
    package var lastSteps: [DurableStep: Int] = [:]
    /// Times each step was done.
    package var steps: [DurableStep: Int] = [:]
    package var diskOperations = 0
    package var puts = 0
    package var gets = 0
    package var networkFaults = 0
    package var virtualTime: Duration = .zero
    package var failure: TrialFailure?
    /// The last events before the failure.
    package var trace: [String] = []
    /// A digest of all events: equal for two runs of one plan.
    package var digest = ""

    package init(_ plan: TrialPlan) { self.plan = plan }
}
