import Primitives

/// What a power cut leaves.
extension SimulatedDisk.State {
    mutating func losePower() {
        let (directories, _) = reachable()
        let cutoff =
            durability == .ordered
            ? syncedOrder + generator.next() % (order - syncedOrder + 1) : nil
        var counts = directories.map { keptChanges(of: $0, cutoff: cutoff) }
        keepMovedFiles(directories, &counts)
        for (directory, count) in zip(directories, counts) { directory.commit(count) }
        // After all have committed: a commit may do some of another directory's.
        for directory in directories { directory.settle() }
        for file in reachable().files { file.losePower(&generator, cutoff: cutoff) }
        recount()
    }

    /// How many changes of a directory, from the oldest on, have reached the disk.
    private mutating func keptChanges(of directory: DirectoryNode, cutoff: UInt64?) -> Int {
        let journal = directory.journal
        if let cutoff { return journal.prefix { $0.order <= cutoff }.count }
        guard !journal.isEmpty else { return 0 }
        return switch generator.next() % 4 {
        case 0: 0
        case 1: journal.count
        default: Int(generator.next() % UInt64(journal.count + 1))
        }
    }

    /// A file that moved to another directory may be in both after the cut, but not in none: its
    /// removal is kept only if its new name is.
    private func keepMovedFiles(_ directories: [DirectoryNode], _ counts: inout [Int]) {
        var indices: [ObjectIdentifier: Int] = [:]
        for (index, directory) in directories.enumerated() {
            indices[ObjectIdentifier(directory)] = index
        }
        var isChanged = true
        while isChanged {
            isChanged = false
            for (index, directory) in directories.enumerated() {
                for (place, entry) in directory.journal.prefix(counts[index]).enumerated() {
                    guard let target = entry.target else { continue }
                    guard let other = indices[ObjectIdentifier(target)] else { continue }
                    let kept = target.journal.prefix(counts[other])
                    let isPending = target.journal.contains { $0.order == entry.order }
                    guard isPending, !kept.contains(where: { $0.order == entry.order }) else {
                        continue
                    }
                    counts[index] = place
                    isChanged = true
                    break
                }
            }
        }
    }

    /// All directories and files that programs see, that the disk has, or that a change between
    /// the two names; each once.
    func reachable() -> (directories: [DirectoryNode], files: [FileNode]) {
        var directories: [DirectoryNode] = [root]
        var files: [FileNode] = []
        var seen: Set<ObjectIdentifier> = [ObjectIdentifier(root)]
        var next = 0
        while next < directories.count {
            for node in directories[next].allNodes {
                switch node {
                case .directory(let directory):
                    if seen.insert(ObjectIdentifier(directory)).inserted {
                        directories.append(directory)
                    }
                case .file(let file):
                    if seen.insert(ObjectIdentifier(file)).inserted { files.append(file) }
                }
            }
            next += 1
        }
        return (directories, files)
    }

    /// Counts names and space anew, with no file open.
    mutating func recount() {
        let (directories, files) = reachable()
        for file in files {
            file.links = 0
            file.opens = 0
            file.lockHolder = nil
            file.lockLife = nil
        }
        for directory in directories {
            for case .file(let file) in directory.names.values { file.links += 1 }
        }
        usedBytes = files.reduce(0) { $1.links > 0 ? $0 + $1.allocatedBytes : $0 }
    }
}
