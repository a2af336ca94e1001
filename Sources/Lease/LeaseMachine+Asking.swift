extension LeaseMachine {
    /// Does what is due at `now`.
    ///
    /// - Returns: what to send, at once: the time of each question is `now`.
    package mutating func tick(at now: Duration) -> [Sending] {
        // What is not answered by then never counts.
        questions = questions.filter { now - $0.value.sentAt < times.timeToLive }
        switch phase {
        case .idle, .lost: return []
        case .waiting(let due):
            guard now >= due else { return [] }
            tries += 1
            phase = .probing(Round(sentAt: now))
            return ask(term: 0, at: now)
        case .probing(let round):
            return isOver(at: now) ? endProbe(round, at: now) : []
        case .claiming(let round, _):
            return isOver(at: now) ? endClaim(round, at: now) : []
        case .holding(let term):
            guard keepers > 0, now >= renewalDue else { return [] }
            let isRenewal = heldUntil.map { $0 > now } ?? false || reached.count >= majority
            renewedAt = now
            reached = []
            return ask(term: isRenewal ? term : 0, at: now)
        }
    }

    /// When `tick` has something to do if nothing is received before; `nil` for never.
    package var nextTick: Duration? {
        switch phase {
        case .idle, .lost: return nil
        case .waiting(let due): return due
        case .probing(let round), .claiming(let round, _):
            if round.answers.count == keepers { return round.sentAt }
            let end = round.sentAt + times.patience
            return round.quorumAt.map { min(end, $0 + times.stragglers) } ?? end
        case .holding: return keepers > 0 ? renewalDue : nil
        }
    }

    /// Takes a keeper's answer to a question; `nil` if there is none and will be none.
    package mutating func receive(_ number: UInt64, _ answer: LeaseState?, at now: Duration) {
        guard let question = questions.removeValue(forKey: number) else { return }
        let keeper = question.keeper
        if let answer { terms[keeper] = max(terms[keeper], answer.term) }
        switch phase {
        case .probing(var round) where question.term == 0 && question.sentAt == round.sentAt:
            note(answer, of: keeper, in: &round, at: now)
            phase = .probing(round)
        case .claiming(var round, let term) where question.term == term:
            note(answer, of: keeper, in: &round, at: now)
            phase = .claiming(round, term: term)
            guard answer?.isYours == true else { return }
            promises[keeper].grantedAt = question.sentAt
            guard promises.count(where: { $0.grantedAt != nil }) >= majority else { return }
            phase = .holding(term: term)
            lastHeldTerm = term
            renewedAt = round.sentAt
        case .holding(let term) where question.term == term:
            guard let answer else { return }
            noteRenewal(answer, of: keeper, sentAt: question.sentAt, term: term)
        case .holding where question.term == 0 && question.sentAt == renewedAt:
            if answer != nil { reached.insert(keeper) }
        case .idle, .waiting, .probing, .claiming, .holding, .lost: return
        }
    }

    // MARK: Holding

    private mutating func noteRenewal(
        _ answer: LeaseState,
        of keeper: Int,
        sentAt: Duration,
        term: UInt64
    ) {
        let grantedAt = promises[keeper].grantedAt
        guard !answer.isYours else {
            promises[keeper].grantedAt = grantedAt.map { max($0, sentAt) } ?? sentAt
            return
        }
        // An answer that was overtaken says nothing.
        guard grantedAt.map({ sentAt >= $0 }) ?? true else { return }
        promises[keeper].grantedAt = nil
        // A lower term is of another's lease that may end; terms never fall.
        guard answer.term >= term else { return }
        promises[keeper].refusal = answer
        let refusals = promises.compactMap(\.refusal)
        guard keepers - refusals.count < majority else { return }
        let newest = refusals.max { $0.term < $1.term } ?? answer
        phase = .lost(to: newest.label, term: newest.term)
    }

    /// Earlier if fewer than are needed have answered since the last time; at once if they said how
    /// the lease stands.
    private var renewalDue: Duration {
        guard reached.count < majority else { return renewedAt }
        let fresh = promises.compactMap(\.grantedAt).count { $0 >= renewedAt }
        return renewedAt + (fresh >= majority ? times.renewal : times.retry)
    }

    // MARK: Acquiring

    private mutating func note(
        _ answer: LeaseState?,
        of keeper: Int,
        in round: inout Round,
        at now: Duration
    ) {
        round.answers[keeper] = .some(answer)
        if round.quorumAt == nil, round.answered.count >= majority { round.quorumAt = now }
    }

    /// Whether the round under way has all answers, or waited long enough.
    private func isOver(at now: Duration) -> Bool {
        nextTick.map { now >= $0 } ?? false
    }

    private mutating func endProbe(_ round: Round, at now: Duration) -> [Sending] {
        let answered = round.answered
        guard answered.count >= majority else {
            return fail(.outOfReach(answered: answered.count, of: keepers))
        }
        let rivals = rivals(in: round)
        guard answered.count - rivals.count >= majority else {
            guard let rival = Self.foremost(of: rivals) else {
                return fail(.outOfReach(answered: answered.count, of: keepers))
            }
            return fail(.inUse(rival))
        }
        guard let term = nextTerm else { return fail(.termsUsedUp) }
        ownTerm = term
        promises = Array(repeating: Promise(), count: keepers)
        phase = .claiming(Round(sentAt: now), term: term)
        return ask(term: term, at: now)
    }

    /// Only after a claim that was not granted by more than half.
    private mutating func endClaim(_ round: Round, at now: Duration) -> [Sending] {
        let sendings = giveBack()
        if tries < Self.triesMax {
            let pause = Int64(1 + random.next() % Self.pauseMaxMilliseconds)
            phase = .waiting(at: now + .milliseconds(pause) * tries)
            return sendings
        }
        guard let rival = Self.foremost(of: round.answered.filter { !$0.isYours }) else {
            return sendings + fail(.outOfReach(answered: round.answered.count, of: keepers))
        }
        return sendings + fail(.inUse(rival))
    }

    private mutating func fail(_ failure: LeaseFailure) -> [Sending] {
        self.failure = failure
        phase = .idle
        return []
    }

    /// The answers by which another has the lease so that it cannot be had now.
    private func rivals(in round: Round) -> [LeaseState] {
        round.answered.filter { answer in
            guard !answer.isYours, answer.holder != predecessor else { return false }
            return switch answer.standing {
            case .held: true
            case .lapsed: !isTakeover
            case .free: false
            }
        }
    }

    private static func foremost(of rivals: [LeaseState]) -> LeaseState? {
        rivals.max {
            ($0.standing.rawValue, $0.secondsLeft, $0.term)
                < ($1.standing.rawValue, $1.secondsLeft, $1.term)
        }
    }

    /// One above the highest term that can be believed: that of most keepers, and what is not far
    /// above it.
    private var nextTerm: UInt64? {
        let usual = terms.sorted()[majority - 1]
        let highest = terms.filter { $0 <= usual + LeaseTimes.termStepMax }.max() ?? usual
        let term = max(highest, ownTerm, termFloor) + 1
        return term <= LeaseTimes.termMax ? term : nil
    }

    // MARK: Sending

    private mutating func ask(term: UInt64, at now: Duration) -> [Sending] {
        let request = LeaseRequest(
            holder: holder,
            label: label,
            term: term,
            isTakeover: isTakeover,
            predecessor: predecessor
        )
        return (0..<keepers).map { keeper in
            questionsSent += 1
            questions[questionsSent] = (keeper, term, now)
            return Sending(keeper: keeper, message: .hold(request), number: questionsSent)
        }
    }

    func giveBack() -> [Sending] {
        (0..<keepers).map { keeper in
            Sending(
                keeper: keeper,
                message: .release(holder: holder, term: ownTerm),
                number: 0
            )
        }
    }
}
