/// A volume's writer lease as one keeper has promised it.
///
/// Pure: the keeper brings the time and makes a promise durable before it answers. Terms of one
/// keeper never fall, and it grants a term to one holder only. From that follows, since any two
/// sets of more than half of the keepers have one in common:
/// - no two holders have a term from more than half of the keepers,
/// - while one holder's lease lives at more than half of the keepers, no other gets one there,
/// - once a newer term is granted by more than half, no head of an older one is taken by as many.
package struct VolumeLease: Hashable, Sendable {
    /// What became of a request.
    package enum Outcome: Hashable, Sendable {
        /// A promise that must be durable before it is answered.
        case granted(VolumeLease)
        /// The promise there is, its time anew.
        case renewed(VolumeLease)
        /// Nothing changes.
        case refused
    }

    package let term: UInt64
    package let holder: LeaseHolder
    package let label: String
    /// Given back by its holder; nobody can renew it.
    package var isReleased: Bool
    /// When it was granted or renewed last, on the keeper's clock, which never goes back.
    ///
    /// After a restart of the keeper when that was: its holder may count on it still.
    package var heardAt: Duration

    package init(
        term: UInt64,
        holder: LeaseHolder,
        label: String,
        isReleased: Bool,
        heardAt: Duration
    ) {
        self.term = term
        self.holder = holder
        self.label = label
        self.isReleased = isReleased
        self.heardAt = heardAt
    }

    package func standing(at now: Duration, _ times: LeaseTimes) -> LeaseStanding {
        if isReleased { return .free }
        let silence = now - heardAt
        if silence < times.timeToLive { return .held }
        return silence < times.timeToLive + times.reservation ? .lapsed : .free
    }

    /// Decides on a request for more than to look (`term` > 0), at `now` on the keeper's clock.
    ///
    /// `present` is the newest promise, `headTerm` the term of the newest head that the keeper has.
    package static func outcome(
        of request: LeaseRequest,
        present: VolumeLease?,
        headTerm: UInt64,
        at now: Duration,
        _ times: LeaseTimes
    ) -> Outcome {
        guard (1...LeaseTimes.termMax).contains(request.term) else { return .refused }
        if let present, present.holder == request.holder, present.term == request.term {
            guard !present.isReleased else { return .refused }
            var renewed = present
            renewed.heardAt = now
            return .renewed(renewed)
        }
        // A head tells of a lease that others have granted; its holder may come here too.
        guard request.term > present?.term ?? 0, request.term >= headTerm else { return .refused }
        if let present, present.holder != request.holder, present.holder != request.predecessor {
            switch present.standing(at: now, times) {
            case .held: return .refused
            case .lapsed where !request.isTakeover: return .refused
            case .lapsed, .free: break
            }
        }
        return .granted(
            VolumeLease(
                term: request.term,
                holder: request.holder,
                label: request.label,
                isReleased: false,
                heardAt: now
            )
        )
    }

    /// What a keeper says of `lease` to `request`, once that was decided.
    package static func state(
        for request: LeaseRequest,
        lease: VolumeLease?,
        headTerm: UInt64,
        at now: Duration,
        _ times: LeaseTimes
    ) -> LeaseState {
        guard let lease else {
            return LeaseState(
                term: headTerm,
                holder: .nobody,
                label: "",
                standing: .free,
                secondsLeft: 0,
                isYours: false
            )
        }
        let standing = lease.standing(at: now, times)
        let end: Duration
        switch standing {
        case .held: end = times.timeToLive
        case .lapsed: end = times.timeToLive + times.reservation
        case .free: end = .zero
        }
        let left = max(lease.heardAt + end - now, .zero).components
        let isAsked = request.term == 0 || request.term == lease.term
        return LeaseState(
            term: max(lease.term, headTerm),
            holder: lease.holder,
            label: lease.label,
            standing: standing,
            secondsLeft: standing == .free
                ? 0 : UInt32(clamping: left.seconds + (left.attoseconds > 0 ? 1 : 0)),
            isYours: lease.holder == request.holder && isAsked && !lease.isReleased
        )
    }
}
