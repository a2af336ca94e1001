"""Files of Scripts/accept/fsck: made, changed and compared.

fsck_judge.py fill DIR RECORD | warm DIR | change DIR RECORD | compare DIR RECORD LOST MOVED
LOST: name of the file whose bytes may be lost, or * for any; MOVED: name that may be elsewhere.
"""

import errno
import json
import os
import random
import sys

PART = 64 << 10


def contents(seed, size):
    return random.Random(seed).randbytes(size)


def plan():
    """Name, seed, size and where data begins, of each file."""
    files = [(f"small-{i}", i, 3000 + i, 0) for i in range(100)]
    files += [("large", 1000, 5_000_000, 0), ("cold", 1001, 3_500_000, 0)]
    files += [("sparse", 1002, 200_000, 4 << 20), ("deep/deeper/file", 1003, 70_000, 0)]
    return files


def write(path, data, offset=0):
    with open(path, "wb") as file:
        file.seek(offset)
        file.write(data)
        os.fsync(file.fileno())


def fill(directory, record):
    os.makedirs(os.path.join(directory, "deep/deeper"))
    for name, seed, size, offset in plan():
        write(os.path.join(directory, name), contents(seed, size), offset)
    os.symlink("large", os.path.join(directory, "link"))
    os.link(os.path.join(directory, "small-3"), os.path.join(directory, "deep/hard"))
    with open(record, "w") as file:
        json.dump({}, file)


def warm(directory):
    for name, *_ in plan():
        if name != "cold":
            with open(os.path.join(directory, name), "rb") as file:
                file.read()


def change(directory, record):
    write(os.path.join(directory, "changed"), contents(2000, 1_500_000))
    with open(record, "w") as file:
        json.dump({"changed": 2000}, file)


def expected(record):
    files = {name: bytes(offset) + contents(seed, size) for name, seed, size, offset in plan()}
    files["deep/hard"] = files["small-3"]
    with open(record) as file:
        if "changed" in json.load(file):
            files["changed"] = contents(2000, 1_500_000)
    return files


def find(directory, name, moved):
    path = os.path.join(directory, name)
    if not moved or not (name == moved or name.startswith(moved + "/")) or os.path.lexists(path):
        return path
    shelf = os.path.join(directory, "lost+found")
    for entry in sorted(os.listdir(shelf)):
        path = os.path.join(shelf, entry) + name[len(moved):]
        if os.path.lexists(path):
            return path
    return os.path.join(directory, name)


def compare(directory, record, lost, moved):
    whole = partly = gone = 0
    for name, data in expected(record).items():
        may_lose = lost in ("*", name)
        path = find(directory, name, moved)
        try:
            file = os.open(path, os.O_RDONLY)
        except OSError as error:
            if not may_lose:
                sys.exit(f"{name}: {error.strerror}")
            gone += 1
            continue
        failed = 0
        for start in range(0, len(data), PART):
            try:
                found = os.pread(file, PART, start)
            except OSError as error:
                if error.errno != errno.EIO or not may_lose:
                    sys.exit(f"{name} at {start}: {error.strerror}")
                failed += 1
                continue
            if found != data[start : start + PART]:
                sys.exit(f"{name}: other bytes at {start}")
        os.close(file)
        if failed:
            partly += 1
        else:
            whole += 1
    if not may_lose_any(lost) and os.readlink(os.path.join(directory, "link")) != "large":
        sys.exit("link: another target")
    print(f"{whole} files whole, {partly} with lost blocks, {gone} gone")


def may_lose_any(lost):
    return lost == "*"


if __name__ == "__main__":
    {"fill": fill, "warm": warm, "change": change, "compare": compare}[sys.argv[1]](*sys.argv[2:])
