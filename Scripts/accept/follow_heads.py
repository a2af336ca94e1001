#!/usr/bin/env python3
"""Changes a volume by seed, and compares what another machine shows of it with each head.

    follow_heads.py change  MODEL MOUNT SEED    some changes
    follow_heads.py note    MODEL MOUNT         notes the tree as that of the head that has it
    follow_heads.py compare MODEL MOUNT         the tree of a follower against that of its head
    follow_heads.py read    MOUNT SEED          reads until it is killed; fails on any error but of what
                                                is gone
"""

import errno
import json
import os
import random
import sys

import time_travel


def head_of(mount):
    """The version that a mount shows, or has registered last."""
    return json.loads(time_travel.mefs("status", mount, "--json").stdout).get("headVersion", 0)


def change(model, mount, seed):
    dice = random.Random(int(seed))
    for folder in range(4):
        os.makedirs(f"{mount}/d{folder}", exist_ok=True)
    for _ in range(dice.randrange(5, 40)):
        time_travel.change(mount, dice)


def note(model, mount):
    found = time_travel.tree(mount)
    time_travel.note(model, str(head_of(mount)), found)


def compare(model, mount):
    version = head_of(mount)
    found = time_travel.tree(mount)
    # A head of which there is no note was made after the last change, of times of reading.
    noted = max(int(name[:-5]) for name in os.listdir(model) if int(name[:-5]) <= version)
    with open(time_travel.path_of(model, str(noted)), encoding="utf-8") as file:
        expected = json.load(file)
    wrong = [path for path in sorted(set(found) | set(expected)) if found.get(path) != expected.get(path)]
    for path in wrong[:5]:
        print(f"head {version}: {path}: {found.get(path)}, but {expected.get(path)} in head {noted}")
    print(f"head {version}, noted as {noted}: {len(found)} paths")
    return 1 if wrong or head_of(mount) != version else 0


def read(mount, seed):
    dice = random.Random(int(seed))
    while True:
        try:
            folder = f"{mount}/d{dice.randrange(4)}"
            names = os.listdir(folder)
            if not names:
                continue
            with open(f"{folder}/{dice.choice(names)}", "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(dice.randrange(size + 1))
                while file.read(1 << 20):
                    pass
        except OSError as error:
            # Between two heads a name may be gone, and a file that somebody has removed.
            if error.errno not in (errno.ENOENT, errno.ESTALE, errno.ENOTCONN):
                print(f"{error.filename}: {error}", flush=True)
                return 1
            if error.errno == errno.ENOTCONN:
                return 0


def main():
    verb, arguments = sys.argv[1], sys.argv[2:]
    return {"change": change, "note": note, "compare": compare, "read": read}[verb](*arguments) or 0


if __name__ == "__main__":
    sys.exit(main())
