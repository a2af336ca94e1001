import Lease
import Network
import Primitives
import Sealing
import Transport

/// A question of a mount to all keepers for the newest head.
struct HeadInquiry {
    let term: UInt64
    let begunAt: Duration
    var answers: [Int: HeadList] = [:]
}

extension LeaseWorld {
    /// Sends what the machine of a mount says.
    func send(_ sending: LeaseMachine.Sending, of mount: LeaseMount) {
        let keeper = keepers[sending.keeper]
        switch sending.message {
        case .hold(let request):
            let life = mount.life
            let receive = { [self] (answer: LeaseState?) in
                mount.receive { [self] in
                    guard mount.life == life else { return }
                    mount.machine.receive(
                        sending.number,
                        answer,
                        at: mount.clock.time(at: now)
                    )
                }
            }
            carry(mount.number, sending.keeper) { [self] in
                guard let answer = keeper.hold(request, in: self) else { return }
                carry(mount.number, sending.keeper) { receive(answer) }
            }
            // Some transports give up, and others bring an answer however late.
            if chance(70) { after(.seconds(5)) { receive(nil) } }
        case .release(let holder, let term):
            carry(mount.number, sending.keeper) { keeper.release(holder, term) }
        }
    }

    /// Makes a head and sends it to all keepers; first, under a new term, asks for the newest.
    func publish(_ mount: LeaseMount) {
        let term = mount.machine.term
        guard term > 0 else { return }
        guard let newest = mount.newest, newest.term == term else { return inquire(mount, term) }
        let base = newest.head
        guard
            let head = try? VolumeHead(
                volume: volume,
                version: (base?.version ?? 0) + 1,
                time: Timestamp(seconds: now.components.seconds, nanoseconds: 0),
                term: term,
                previous: base?.digest ?? .noHead,
                body: random.bytes(8),
                signedBy: key
            )
        else { return complain("a head cannot be signed") }
        mount.newest = (term, head)
        let digest = history.add(head)
        for (index, keeper) in keepers.enumerated() {
            carry(mount.number, index) { [self] in
                guard keeper.put(head, in: self) else { return }
                history.note(digest, takenBy: index)
                count(.heads)
            }
        }
    }

    private func inquire(_ mount: LeaseMount, _ term: UInt64) {
        if let inquiry = mount.inquiry, inquiry.term == term,
            now - inquiry.begunAt < .seconds(10)
        {
            return
        }
        let begunAt = now
        mount.inquiry = HeadInquiry(term: term, begunAt: begunAt)
        for (index, keeper) in keepers.enumerated() {
            carry(mount.number, index) { [self] in
                guard keeper.isUp else { return }
                let list = HeadList(head: keeper.head, term: keeper.term)
                carry(mount.number, index) { [self] in
                    mount.receive { [self] in
                        guard mount.inquiry?.begunAt == begunAt, mount.inquiry?.term == term else {
                            return
                        }
                        mount.inquiry?.answers[index] = list
                        judge(mount)
                    }
                }
            }
        }
    }

    private func judge(_ mount: LeaseMount) {
        guard let inquiry = mount.inquiry, mount.newest?.term != inquiry.term,
            mount.machine.term == inquiry.term,
            let id = NodeID(bytes: Array(repeating: 1, count: NodeID.byteCount))
        else { return }
        let survey = HeadSurvey(
            of: volume,
            owner: key.publicKey.nodeID,
            answers: keepers.indices.map { index in
                HeadSurvey.Answer(
                    id,
                    inquiry.answers[index].map { .success($0) }
                        ?? .failure(NetworkError(.timedOut, "no answer"))
                )
            }
        )
        guard survey.isFenced(before: inquiry.term) else { return }
        mount.newest = (inquiry.term, survey.newest)
        mount.inquiry = nil
        history.note(survey.newest, foundUnder: inquiry.term)
    }
}

/// All heads ever made, who took them, and from which one each writer went on.
struct HeadHistory {
    private var heads: [Digest: VolumeHead] = [:]
    private var takers: [Digest: Set<Int>] = [:]
    private var beginnings: [(term: UInt64, head: Digest?)] = []

    mutating func add(_ head: VolumeHead) -> Digest {
        let digest = head.digest
        heads[digest] = head
        return digest
    }

    mutating func note(_ head: Digest, takenBy keeper: Int) {
        takers[head, default: []].insert(keeper)
    }

    mutating func note(_ head: VolumeHead?, foundUnder term: UInt64) {
        beginnings.append((term, head?.digest))
    }

    /// Heads that so many keepers took and that a writer of a later term did not go on from.
    func complaints(majority: Int) -> [String] {
        let published = takers.filter { $0.value.count >= majority }.keys
        var complaints: [String] = []
        for (term, beginning) in beginnings {
            var known: Set<Digest> = []
            var next = beginning
            while let digest = next, let head = heads[digest] {
                known.insert(digest)
                next = head.previous
            }
            for digest in published where !known.contains(digest) {
                guard let head = heads[digest], head.term < term else { continue }
                complaints.append(
                    "head \(head.version) of term \(head.term) is passed over by term \(term)"
                )
            }
        }
        return complaints
    }
}
