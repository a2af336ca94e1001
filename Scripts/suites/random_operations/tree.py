"""Whole trees: what is in one, and how two differ."""

import hashlib
import os
import stat

from side import attributes, facts

PIECE = 1 << 20
# Times that a step sets lie before this one; those that the clock gave, after it.
SET_TIMES_END_NS = 1_000_000_000 * 10**9
# Two events that are this far apart on one side must not be in the other order on the other.
APART_NS = 50_000_000


def content(path):
    """A digest of a file's bytes in which runs of zeros do not count, wherever holes are."""
    whole = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size
        at = 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // PIECE * PIECE
            except OSError:
                break
            while True:
                piece = os.pread(file.fileno(), PIECE, at)
                if any(piece):
                    whole.update(at.to_bytes(8, "big") + piece.rstrip(b"\0"))
                at += PIECE
                if at >= end or not any(piece):
                    break
    return whole.hexdigest()[:20]


def walk(top):
    """Every path below a directory: its status, without following links."""
    found = {b".": os.lstat(top)}
    rest = [b""]
    while rest:
        folder = rest.pop()
        for each in os.scandir(os.path.join(top, folder)):
            path = os.path.join(folder, each.name)
            found[path] = each.stat(follow_symlinks=False)
            if each.is_dir(follow_symlinks=False):
                rest.append(path)
    return found


def describe(top, found):
    """All that must be equal of a tree, by path."""
    tree = {}
    for path, status in found.items():
        full = os.path.join(top, path)
        line = {"status": facts(status), "xattrs": attributes(full)}
        if status.st_mtime_ns < SET_TIMES_END_NS:
            line["mtime"] = status.st_mtime_ns
        if stat.S_ISREG(status.st_mode):
            line["content"] = content(full)
        elif stat.S_ISLNK(status.st_mode):
            line["target"] = os.readlink(full)
        tree[path] = line
    return tree


def compare(ours, theirs, mapped):
    """How the tree of one directory differs from that of the other: lines of text."""
    ours, theirs = os.fsencode(ours), os.fsencode(theirs)
    found = [walk(ours), walk(theirs)]
    mine, reference = describe(ours, found[0]), describe(theirs, found[1])
    wrong = []
    for path in sorted(set(mine) | set(reference)):
        a, b = mine.get(path), reference.get(path)
        if a is None or b is None:
            wrong.append(f"{path!r} is only {'in the mount' if b is None else 'in the reference'}")
            continue
        wrong += [f"{path!r}: {key} {a.get(key)} in the mount, {b.get(key)} in the reference"
                  for key in sorted(set(a) | set(b)) if a.get(key) != b.get(key)]
    names = {}
    for top, tree in ((ours, found[0]), (theirs, found[1])):
        groups = {}
        for path, status in tree.items():
            groups.setdefault(status.st_ino, []).append(path)
        names[top] = sorted(sorted(group) for group in groups.values())
    if not wrong and names[ours] != names[theirs]:
        wrong.append("other names are links of one another")
    return wrong or order(*found, mapped)


def order(mine, reference, mapped):
    """Times that the clock gave must be in the same order on both sides.

    Not of FIFOs: the kernel keeps no times of what is written to one of a FUSE mount.
    """
    wrong = []
    for what in ("st_mtime_ns", "st_ctime_ns"):
        line = sorted((getattr(status, what), path) for path, status in reference.items()
                      if getattr(status, what) >= SET_TIMES_END_NS and status.st_ino not in mapped
                      and not stat.S_ISFIFO(status.st_mode))
        for (early, a), (late, b) in zip(line, line[1:]):
            if late - early > APART_NS and getattr(mine[a], what) > getattr(mine[b], what):
                after = getattr(mine[a], what) - getattr(mine[b], what)
                wrong.append(f"{what} of {a!r} is {after} ns after that of {b!r}, in the reference"
                             f" {late - early} ns before; it is {getattr(mine[a], what)}")
    return wrong
