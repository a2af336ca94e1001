#!/usr/bin/env python3
"""Writes to a mount, notes what fsync acknowledged, and verifies it after a crash.

    writer.py write  MOUNT NOTES SEED [PROCESSES]    until the mount goes away
    writer.py verify MOUNT NOTES                     says what it checked; exit 1 if anything is wrong

Each process has a folder of its own in the mount and a file NOTES.N outside it. Before a change it
notes how each name it touches is now, and how it will be; after the acknowledgement, that it is
done. So a change that the crash cut off may be there, or not, or for a file's contents anything
between, but only in the bytes that it changes; a change that is noted as done must be there.
"""

import contextlib
import ctypes
import errno
import glob
import hashlib
import json
import mmap
import os
import random
import sys

FILES_MAX = 30
FOLDERS_MAX = 4
BYTES_MAX = 300_000
FILE_BYTES_MAX = 4 * BYTES_MAX
BLOCK = 1 << 20
PAGE = 4096
KEEP_SIZE, PUNCH_HOLE = 1, 2
libc = ctypes.CDLL(None, use_errno=True)


def sync_directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def digest(data):
    return hashlib.sha256(data).hexdigest()[:32]


def fallocate(fd, mode, offset, count):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(count)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def opened(path, flags):
    fd = os.open(path, flags, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def write_all(fd, data, offset):
    while data:
        done = os.pwrite(fd, data, offset)
        data, offset = data[done:], offset + done


class Writer:
    """One process. `state` is name -> how it must be: file {sha, xattrs, links}, or a folder."""

    def __init__(self, mount, notes, seed):
        # By a descriptor: once the mount is gone, its path leads to the directory below it.
        top = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
        if os.fstat(top).st_dev == os.stat(os.path.dirname(os.path.abspath(mount))).st_dev:
            raise OSError(errno.ENOTCONN, "nothing is mounted there", mount)
        self.folder = f"/proc/self/fd/{top}/crash" + os.path.splitext(notes)[1]
        self.notes = open(notes, "a", encoding="ascii")
        self.random = random.Random(seed)
        self.state, _ = replay(notes)
        self.seed = seed
        self.count = 0

    def note(self, **line):
        self.notes.write(json.dumps(line) + "\n")
        self.notes.flush()

    def run(self):
        os.makedirs(self.folder, exist_ok=True)
        sync_directory(os.path.dirname(self.folder))
        steps = [self.create, self.create, self.append, self.append, self.overwrite, self.overwrite,
                 self.overwrite_mapped, self.overwrite_mapped, self.truncate, self.punch,
                 self.extend, self.replace, self.rename, self.rename_over, self.link,
                 self.set_attribute, self.transaction, self.transaction, self.delete,
                 self.make_folder, self.remove_folder]
        while True:
            step = self.random.choice(steps)
            if len(self.files()) < 8:
                step = self.create
            elif step in (self.create, self.link) and len(self.files()) >= FILES_MAX:
                step = self.delete
            step()

    # What there is

    def files(self):
        return sorted(name for name, entry in self.state.items() if "sha" in entry)

    def folders(self):
        return [""] + sorted(name + "/" for name, entry in self.state.items() if "sha" not in entry)

    def pick(self):
        return self.random.choice(self.files())

    def fresh(self):
        self.count += 1
        return f"{self.random.choice(self.folders())}file-{self.seed}-{self.count}"

    def path(self, name):
        return os.path.join(self.folder, name)

    def sync_parents(self, *names):
        for parent in sorted({os.path.dirname(self.path(name)) for name in names}):
            sync_directory(parent)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def data(self):
        count = self.random.choice([1, PAGE, 65_536, self.random.randrange(BYTES_MAX)])
        if self.random.random() < 0.05:
            count = self.random.randrange(BLOCK, 3 * BLOCK)
        return self.random.randbytes(count)

    def same_file(self, name):
        """The names of one file."""
        group = self.state[name]["group"]
        return [each for each, entry in self.state.items() if entry.get("group") == group]

    # How changes are noted

    def change(self, after, perform, between=None):
        """One change: `after` says how names will be, None for gone; `between` what may be cut."""
        before = {name: self.state.get(name) for name in after}
        self.note(attempt=before, after=after, between=between)
        perform()
        self.note(done=True)
        apply(self.state, after)

    def contents(self, name, old, new, perform):
        """A change of an existing file's contents. What is common at both ends must not change."""
        start = next((i for i in range(0, min(len(old), len(new)), PAGE)
                      if old[i:i + PAGE] != new[i:i + PAGE]), min(len(old), len(new)))
        end = start
        if len(old) == len(new):
            end = next((i for i in range(len(old) // PAGE * PAGE, start, -PAGE)
                        if old[i:i + PAGE] != new[i:i + PAGE]), start) + PAGE
        between = {"prefix": [start, digest(old[:start])], "sizes": sorted([len(old), len(new)])}
        if len(old) == len(new):
            between["suffix"] = [end, digest(old[end:])]
        after = {each: {**self.state[each], "sha": digest(new)} for each in self.same_file(name)}
        self.change(after, perform, between)

    def entry(self, data, group):
        return {"sha": digest(data), "xattrs": {}, "links": 1, "group": group}

    # Steps

    def create(self):
        name, data = self.fresh(), self.data()

        def perform():
            with opened(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
                write_all(fd, data, 0)
                os.fsync(fd)
            self.sync_parents(name)

        self.change({name: self.entry(data, name)}, perform,
                    {"prefix": [0, digest(b"")], "sizes": [0, len(data)]})

    def append(self):
        name, more = self.pick(), self.data()
        old = self.read(name)
        if len(old) > FILE_BYTES_MAX:
            return
        flags, sync = self.random.choice([(os.O_APPEND, os.fsync), (os.O_APPEND, os.fdatasync),
                                          (os.O_APPEND | os.O_DSYNC, None), (0, os.fsync)])

        def perform():
            with opened(self.path(name), os.O_WRONLY | flags) as fd:
                if flags & os.O_APPEND:
                    rest = more
                    while rest:
                        rest = rest[os.write(fd, rest):]
                else:
                    write_all(fd, more, len(old))
                if sync:
                    sync(fd)

        self.contents(name, old, old + more, perform)

    def place(self, old):
        offset = self.random.randrange(len(old) + 1)
        return offset, self.data()[:len(old) - offset]

    def overwrite(self):
        name = self.pick()
        old = self.read(name)
        offset, piece = self.place(old)

        def perform():
            with opened(self.path(name), os.O_WRONLY) as fd:
                write_all(fd, piece, offset)
                self.random.choice([os.fsync, os.fdatasync])(fd)

        self.contents(name, old, old[:offset] + piece + old[offset + len(piece):], perform)

    def overwrite_mapped(self):
        name = self.pick()
        old = self.read(name)
        offset, piece = self.place(old)
        if not old:
            return

        def perform():
            with opened(self.path(name), os.O_RDWR) as fd, mmap.mmap(fd, 0) as mapping:
                mapping[offset:offset + len(piece)] = piece
                mapping.flush()

        self.contents(name, old, old[:offset] + piece + old[offset + len(piece):], perform)

    def truncate(self):
        name = self.pick()
        old = self.read(name)
        size = self.random.randrange(len(old) + 1)
        if self.random.random() < 0.3:
            size = len(old) + self.random.randrange(BYTES_MAX)

        def perform():
            with opened(self.path(name), os.O_WRONLY) as fd:
                os.ftruncate(fd, size)
                os.fsync(fd)

        self.contents(name, old, (old + bytes(max(0, size - len(old))))[:size], perform)

    def punch(self):
        name = self.pick()
        old = self.read(name)
        offset, piece = self.place(old)
        if not piece:
            return

        def perform():
            with opened(self.path(name), os.O_WRONLY) as fd:
                fallocate(fd, KEEP_SIZE | PUNCH_HOLE, offset, len(piece))
                os.fsync(fd)

        self.contents(name, old, old[:offset] + bytes(len(piece)) + old[offset + len(piece):], perform)

    def extend(self):
        name = self.pick()
        old = self.read(name)
        more = self.random.randrange(1, BYTES_MAX)
        if len(old) > FILE_BYTES_MAX:
            return

        def perform():
            with opened(self.path(name), os.O_WRONLY) as fd:
                fallocate(fd, 0, len(old), more)
                os.fsync(fd)

        self.contents(name, old, old + bytes(more), perform)

    def transaction(self):
        """As SQLite's rollback journal: old page aside, synced; page in place, synced; journal gone."""
        name = self.pick()
        old = self.read(name)
        offset, piece = self.place(old)
        piece = piece[:PAGE]
        journal = name + "-journal"
        if journal in self.state:  # A crash left it.
            return self.delete(journal)
        kept = old[offset:offset + len(piece)]

        def begin():
            with opened(self.path(journal), os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
                write_all(fd, kept, 0)
                os.fdatasync(fd)
            self.sync_parents(journal)

        def perform():
            with opened(self.path(name), os.O_RDWR) as fd:
                write_all(fd, piece, offset)
                os.fdatasync(fd)

        def end():
            os.unlink(self.path(journal))
            self.sync_parents(journal)

        self.change({journal: self.entry(kept, journal)}, begin,
                    {"prefix": [0, digest(b"")], "sizes": [0, len(kept)]})
        self.contents(name, old, old[:offset] + piece + old[offset + len(piece):], perform)
        self.change({journal: None}, end)

    def replace(self):
        """The way editors save: a new file, fsync, rename over the old one."""
        name = self.pick()
        self.create()
        self.move(list(self.state)[-1], name)

    def rename(self):
        self.move(self.pick(), self.fresh())

    def rename_over(self):
        old, new = self.pick(), self.pick()
        if new not in self.same_file(old):
            self.move(old, new)

    def move(self, old, new):
        after = self.without(new) if new in self.state else {}
        after |= {new: self.state[old], old: None}

        def perform():
            os.rename(self.path(old), self.path(new))
            self.sync_parents(old, new)

        self.change(after, perform)

    def without(self, name):
        """How all names of a file are once one of them is gone."""
        others = [each for each in self.same_file(name) if each != name]
        return {each: {**self.state[each], "links": len(others)} for each in others} | {name: None}

    def link(self):
        old, new = self.pick(), self.fresh()
        names = self.same_file(old)
        after = {each: {**self.state[each], "links": len(names) + 1} for each in names}
        after[new] = after[old]

        def perform():
            os.link(self.path(old), self.path(new))
            self.sync_parents(new)

        self.change(after, perform)

    def delete(self, name=None):
        name = name or self.pick()

        def perform():
            os.unlink(self.path(name))
            self.sync_parents(name)

        self.change(self.without(name), perform)

    def set_attribute(self):
        name, value = self.pick(), self.random.randbytes(self.random.choice([8, 300]))
        key = self.random.choice(["user.one", "user.two"])
        xattrs = {**self.state[name]["xattrs"], key: digest(value)}
        after = {each: {**self.state[each], "xattrs": xattrs} for each in self.same_file(name)}

        def perform():
            with opened(self.path(name), os.O_RDONLY) as fd:
                os.setxattr(fd, key, value)
                os.fsync(fd)

        self.change(after, perform)

    def make_folder(self):
        if len(self.folders()) > FOLDERS_MAX:
            return
        self.count += 1
        name = f"folder-{self.seed}-{self.count}"

        def perform():
            os.mkdir(self.path(name))
            self.sync_parents(name)

        self.change({name: {"folder": True}}, perform)

    def remove_folder(self):
        for folder in self.folders()[1:]:
            name = folder[:-1]
            if any(each.startswith(folder) for each in self.state):
                continue

            def perform():
                os.rmdir(self.path(name))
                self.sync_parents(name)

            return self.change({name: None}, perform)


def apply(state, after):
    for name, entry in after.items():
        if entry is None:
            state.pop(name, None)
        else:
            state[name] = entry


def replay(path):
    """What NOTES says: name -> how it must be, and the change that was cut off."""
    state, pending = {}, None
    if not os.path.exists(path):
        return state, None
    with open(path, encoding="ascii") as file:
        for text in file:
            line = json.loads(text)
            if "resolved" in line:
                state, pending = line["resolved"], None
            elif "attempt" in line:
                pending = line
            else:
                apply(state, pending["after"])
                pending = None
    return state, pending


def look(folder):
    """How everything below a folder is: name -> entry, and file contents by name."""
    found, contents, first = {}, {}, {}
    for parent, folders, files in os.walk(folder):
        for each in folders:
            found[os.path.relpath(os.path.join(parent, each), folder)] = {"folder": True}
        for each in sorted(files):
            path = os.path.join(parent, each)
            name, status = os.path.relpath(path, folder), os.lstat(path)
            with open(path, "rb") as file:
                contents[name] = file.read()
            if len(contents[name]) != status.st_size:
                contents[name] += b"(has another size than stat tells)"
            xattrs = {key: digest(os.getxattr(path, key)) for key in os.listxattr(path)
                      if not key.startswith("user.mefs.")}
            found[name] = {"sha": digest(contents[name]), "xattrs": xattrs,
                           "links": status.st_nlink, "group": first.setdefault(status.st_ino, name)}
    return found, contents


def plain(entry):
    """An entry without the name of its group, which says nothing by itself."""
    return entry and {key: value for key, value in entry.items() if key != "group"}


def groups(entries, names):
    found = {}
    for name in names:
        if name in entries and "group" in entries[name]:
            found.setdefault(entries[name]["group"], []).append(name)
    return sorted(sorted(each) for each in found.values())


def verify(mount, notes):
    """Checks one folder and notes how the cut-off change turned out, for the next round."""
    state, pending = replay(notes)
    found, contents = look(os.path.join(mount, "crash" + os.path.splitext(notes)[1]))
    touched = set(pending["attempt"]) if pending else set()
    wrong = check_pending(pending, found, contents) if pending else []
    settled = [name for name in sorted(set(state) | set(found)) if name not in touched]
    for name in settled:
        if plain(state.get(name)) != plain(found.get(name)):
            wrong.append(f"{name} is {plain(found.get(name))}, acknowledged was {plain(state.get(name))}")
    if not wrong and groups(state, settled) != groups(found, settled):
        wrong.append("other names are links of one another than was acknowledged")
    with open(notes, "a", encoding="ascii") as file:
        file.write(json.dumps({"resolved": found}) + "\n")
    return len(settled), wrong


def check_pending(pending, found, contents):
    """A cut-off change is done, or not begun; contents may be between, in what it changes only."""
    names = pending["attempt"]
    now = {name: plain(found.get(name)) for name in names}
    for outcome in (pending["attempt"], pending["after"]):
        if now == {name: plain(entry) for name, entry in outcome.items()}:
            return []
    between = pending["between"]
    if between is None:
        return [f"a cut-off change is neither done nor undone: {now}, not {pending}"]
    wrong = []
    for name in names:
        if name not in found:
            if names[name] is not None:
                wrong.append(f"{name} is gone, though only its contents were being changed")
            continue
        data = contents[name]
        size, sha = between["prefix"]
        if digest(data[:size]) != sha:
            wrong.append(f"{name}: bytes below {size} changed, which a cut-off write did not touch")
        if not between["sizes"][0] <= len(data) <= between["sizes"][1]:
            wrong.append(f"{name} has {len(data)} bytes, between {between['sizes']} was possible")
        if "suffix" in between and digest(data[between["suffix"][0]:]) != between["suffix"][1]:
            wrong.append(f"{name}: bytes from {between['suffix'][0]} on changed, which a cut-off"
                         " write did not touch")
    return wrong


def write(mount, notes, seed, processes):
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            libc.prctl(1, 9)  # PR_SET_PDEATHSIG: killed with its parent.
            try:
                Writer(mount, f"{notes}.{number}", seed * 100 + number).run()
            except OSError as error:
                print(f"writer {number} ends: {error}", file=sys.stderr)
            os._exit(0)
        children.append(child)
    failed = 0
    for child in children:
        failed |= os.waitpid(child, 0)[1]
    return 1 if failed else 0


def main():
    verb, mount, notes = sys.argv[1:4]
    if verb == "write":
        return write(mount, notes, int(sys.argv[4]), int(sys.argv[5]) if len(sys.argv) > 5 else 1)
    checked, wrong, changes = 0, [], 0
    for each in sorted(glob.glob(glob.escape(notes) + ".*")):
        with open(each, encoding="ascii") as file:
            changes += sum(1 for line in file if line.startswith('{"done"'))
        count, bad = verify(mount, each)
        checked += count
        wrong += [f"{os.path.basename(each)}: {text}" for text in bad]
    if wrong:
        print("; ".join(wrong[:20]))
        return 1
    print(f"{checked} names as acknowledged, {changes} changes so far")
    return 0


if __name__ == "__main__":
    sys.exit(main())
