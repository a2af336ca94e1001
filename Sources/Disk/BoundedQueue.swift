/// Elements handed from threads to threads, in order, never more than `limit` waiting.
package final class BoundedQueue<Element: Sendable>: Sendable {
    private struct State {
        /// What waits, from `first` on; taken ones before it are `nil`, so that nothing keeps
        /// them alive, and are dropped many at once: taking one is O(1).
        var elements: [Element?] = []
        /// Index of the oldest element that waits.
        var first = 0
        var isClosed = false

        var count: Int { elements.count - first }

        mutating func take() -> Element? {
            guard first < elements.count else { return nil }
            let element = elements[first]
            elements[first] = nil
            first += 1
            if first > 32, first > elements.count / 2 {
                elements.removeFirst(first)
                first = 0
            }
            return element
        }
    }

    /// The most elements waiting at once; at least 1.
    package let limit: Int
    private let state = Condition(State())

    package init(limit: Int) {
        precondition(limit >= 1, "a queue without room moves nothing")
        self.limit = limit
    }

    /// Elements waiting just now.
    package var count: Int { state.withLock { $0.count } }

    /// Adds an element, waiting for room; `false` if the queue is or becomes closed.
    package func put(_ element: Element) -> Bool {
        state.wait { state -> Bool? in
            if state.isClosed { return false }
            guard state.count < limit else { return nil }
            state.elements.append(element)
            return true
        }
    }

    /// Adds an element if there is room now.
    package func tryPut(_ element: Element) -> Bool {
        state.update { state in
            guard !state.isClosed, state.count < limit else { return false }
            state.elements.append(element)
            return true
        }
    }

    /// Takes the oldest element, waiting for one; `nil` once the queue is closed and empty.
    package func take() -> Element? {
        state.wait { state -> Element?? in
            if let element = state.take() { return .some(element) }
            return state.isClosed ? .some(nil) : nil
        }
    }

    /// Takes up to `countMax` elements, waiting for the first only.
    ///
    /// Empty once the queue is closed and empty. For workers that do a batch at a time.
    package func takeBatch(_ countMax: Int) -> [Element] {
        state.wait { state -> [Element]? in
            var batch: [Element] = []
            while batch.count < countMax, let element = state.take() { batch.append(element) }
            return batch.isEmpty && !state.isClosed ? nil : batch
        }
    }

    /// Ends the queue: nothing can be put any more, what waits can still be taken.
    package func close() { state.update { $0.isClosed = true } }
}
