/// The values used last, at most `limit` of them: a dictionary that forgets its oldest entry.
///
/// Every operation is O(1). Not shared between threads by itself.
package struct RecentlyUsed<Key: Hashable, Value> {
    private struct Slot {
        var key: Key
        var value: Value
        /// Slot used just after this one, or -1 for the newest.
        var newer: Int
        /// Slot used just before this one, or -1 for the oldest.
        var older: Int
    }

    package let limit: Int
    private var slots: [Slot] = []
    private var slotOfKey: [Key: Int] = [:]
    private var newest = -1
    private var oldest = -1

    package init(limit: Int) {
        precondition(limit >= 1, "a table without room is a mistake")
        self.limit = limit
    }

    package var count: Int { slotOfKey.count }

    /// The value of `key`, which counts as its use.
    package mutating func value(of key: Key) -> Value? {
        guard let index = slotOfKey[key] else { return nil }
        if index != newest {
            detach(index)
            attachAsNewest(index)
        }
        return slots[index].value
    }

    /// Adds an entry as the newest; `key` must not be in the table.
    ///
    /// - Returns: The oldest entry's value, if it had to go.
    package mutating func insert(_ value: Value, for key: Key) -> Value? {
        precondition(slotOfKey[key] == nil, "an entry is inserted once")
        guard slots.count == limit else {
            slots.append(Slot(key: key, value: value, newer: -1, older: -1))
            slotOfKey[key] = slots.count - 1
            attachAsNewest(slots.count - 1)
            return nil
        }
        let index = oldest
        let evicted = slots[index]
        detach(index)
        slotOfKey[evicted.key] = nil
        slots[index] = Slot(key: key, value: value, newer: -1, older: -1)
        slotOfKey[key] = index
        attachAsNewest(index)
        return evicted.value
    }

    /// Takes the entry out and returns its value.
    package mutating func remove(_ key: Key) -> Value? {
        guard let index = slotOfKey.removeValue(forKey: key) else { return nil }
        let value = slots[index].value
        detach(index)
        let last = slots.count - 1
        if index != last { move(from: last, to: index) }
        slots.removeLast()
        return value
    }

    private mutating func move(from source: Int, to target: Int) {
        let slot = slots[source]
        slots[target] = slot
        slotOfKey[slot.key] = target
        if slot.newer >= 0 { slots[slot.newer].older = target } else { newest = target }
        if slot.older >= 0 { slots[slot.older].newer = target } else { oldest = target }
    }

    private mutating func detach(_ index: Int) {
        let (newer, older) = (slots[index].newer, slots[index].older)
        if newer >= 0 { slots[newer].older = older } else { newest = older }
        if older >= 0 { slots[older].newer = newer } else { oldest = newer }
    }

    private mutating func attachAsNewest(_ index: Int) {
        slots[index].newer = -1
        slots[index].older = newest
        if newest >= 0 { slots[newest].newer = index } else { oldest = index }
        newest = index
    }
}
