#!/usr/bin/env python3
"""Writes to a mount, notes what fsync acknowledged, and verifies it after a crash.

    writer.py write  MOUNT NOTES SEED    until the mount goes away
    writer.py verify MOUNT NOTES         says what it checked; exit 1 if anything is wrong

NOTES is a file outside the mount. Before a change it gets a line that the change is attempted,
after the acknowledgement a line that it is done: so a change that the crash cut off may be there,
or not, or for a file's contents anything between; a change that is noted as done must be there.
"""

import hashlib
import json
import os
import random
import sys

FILES = 40
BYTES_MAX = 300_000
BLOCK = 1 << 20


class Notes:
    """The record outside the mount; every line is on the disk before the next step."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="ascii")

    def add(self, **line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


def sync_directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Writer:
    def __init__(self, mount, notes, seed):
        self.folder = os.path.join(mount, "crash")
        self.notes = Notes(notes)
        self.random = random.Random(seed)
        self.state, _ = replay(notes)
        self.seed = seed
        self.count = 0

    def data(self):
        count = self.random.choice([0, 1, 4096, 65_536, self.random.randrange(BYTES_MAX)])
        if self.random.random() < 0.05:
            count = self.random.randrange(BLOCK, 3 * BLOCK)
        return self.random.randbytes(count)

    def run(self):
        os.makedirs(self.folder, exist_ok=True)
        sync_directory(os.path.dirname(self.folder))
        while True:
            present = sorted(self.state)
            if len(present) < 8:
                self.create()
            else:
                step = self.random.choice(
                    [self.create, self.append, self.overwrite, self.replace, self.rename,
                     self.truncate, self.delete])
                if step == self.create and len(present) >= FILES:
                    step = self.delete
                step()

    def pick(self):
        return self.random.choice(sorted(self.state))

    def fresh(self):
        self.count += 1
        return f"file-{self.seed}-{self.count}"

    def path(self, name):
        return os.path.join(self.folder, name)

    def contents(self, name, data, change):
        """One change of a file's contents, acknowledged by fsync."""
        self.notes.add(try_contents=name, sha=digest(data))
        change()
        self.notes.add(done_contents=name, sha=digest(data))
        self.state[name] = digest(data)

    def write_at(self, name, offset, piece, flags=0):
        fd = os.open(self.path(name), os.O_WRONLY | flags, 0o644)
        try:
            while piece:
                done = os.pwrite(fd, piece, offset)
                piece, offset = piece[done:], offset + done
            os.fsync(fd)
        finally:
            os.close(fd)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def create(self):
        name, data = self.fresh(), self.data()

        def change():
            self.write_at(name, 0, data, os.O_CREAT | os.O_EXCL)
            sync_directory(self.folder)

        self.contents(name, data, change)

    def append(self):
        name = self.pick()
        old, more = self.read(name), self.data()
        if len(old) < 4 * BYTES_MAX:
            self.contents(name, old + more, lambda: self.write_at(name, len(old), more))

    def overwrite(self):
        name = self.pick()
        old = self.read(name)
        offset = self.random.randrange(len(old) + 1)
        piece = self.data()
        new = old[:offset] + piece + old[offset + len(piece):]
        self.contents(name, new, lambda: self.write_at(name, offset, piece))

    def truncate(self):
        name = self.pick()
        old = self.read(name)
        size = self.random.randrange(len(old) + 1)

        def change():
            fd = os.open(self.path(name), os.O_WRONLY)
            try:
                os.ftruncate(fd, size)
                os.fsync(fd)
            finally:
                os.close(fd)

        self.contents(name, old[:size], change)

    def replace(self):
        """The way editors save: a new file, fsync, rename over the old one."""
        name, temporary, data = self.pick(), self.fresh(), self.data()
        self.contents(temporary, data,
                      lambda: (self.write_at(temporary, 0, data, os.O_CREAT | os.O_EXCL),
                               sync_directory(self.folder)))
        self.move(temporary, name)

    def rename(self):
        self.move(self.pick(), self.fresh())

    def move(self, old, new):
        self.notes.add(try_rename=old, to=new)
        os.rename(self.path(old), self.path(new))
        sync_directory(self.folder)
        self.notes.add(done_rename=old, to=new)
        self.state[new] = self.state.pop(old)

    def delete(self):
        name = self.pick()
        self.notes.add(try_delete=name)
        os.unlink(self.path(name))
        sync_directory(self.folder)
        self.notes.add(done_delete=name)
        del self.state[name]


def replay(path):
    """What NOTES says: name -> sha of what must be there, and the one change that was cut off."""
    state, pending = {}, None
    if not os.path.exists(path):
        return state, None
    with open(path, encoding="ascii") as file:
        for text in file:
            line = json.loads(text)
            if "resolved" in line:
                state, pending = line["resolved"], None
            elif any(key.startswith("try_") for key in line):
                pending = line
            else:
                pending = None
                if "done_contents" in line:
                    state[line["done_contents"]] = line["sha"]
                elif "done_rename" in line:
                    state[line["to"]] = state.pop(line["done_rename"])
                elif "done_delete" in line:
                    del state[line["done_delete"]]
    return state, pending


def verify(mount, notes):
    """Checks the tree and notes how the cut-off change turned out, for the next round."""
    state, pending = replay(notes)
    folder = os.path.join(mount, "crash")
    found = {}
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = digest(file.read())
    free, wrong = set(), []
    if pending:
        free = check_pending(state, pending, found, wrong)
    for name, sha in state.items():
        if name in free:
            continue
        if name not in found:
            wrong.append(f"{name} is missing")
        elif found[name] != sha:
            wrong.append(f"{name} has other contents than were acknowledged")
    for name in found:
        if name not in state and name not in free:
            wrong.append(f"{name} is there though its deletion was acknowledged")
    Notes(notes).add(resolved=found)
    cut = next((key[4:] for key in pending if key.startswith("try_")), "") if pending else "nothing"
    return len(state) - len(free & set(state)), cut, wrong


def check_pending(state, pending, found, wrong):
    """The names that the cut-off change leaves open, each checked for the outcomes it may have."""
    if "try_contents" in pending:
        return {pending["try_contents"]}
    if "try_delete" in pending:
        name = pending["try_delete"]
        if name in found and found[name] != state[name]:
            wrong.append(f"{name}: a cut-off deletion changed its contents")
        return {name}
    old, new = pending["try_rename"], pending["to"]
    before = found.get(old) == state[old] and found.get(new) == state.get(new)
    after = old not in found and found.get(new) == state[old]
    if not before and not after:
        wrong.append(f"{old} -> {new}: a cut-off rename is neither done nor undone")
    return {old, new}


def main():
    verb, mount, notes = sys.argv[1:4]
    if verb == "write":
        try:
            Writer(mount, notes, int(sys.argv[4])).run()
        except OSError as error:
            print(f"writer ends: {error}", file=sys.stderr)
        return 0
    checked, cut, wrong = verify(mount, notes)
    if wrong:
        print("; ".join(wrong))
        return 1
    print(f"{checked} files as acknowledged, cut off: {cut}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
