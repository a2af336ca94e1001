#!/usr/bin/env python3
"""Writes files and notes what fsync acknowledged; judges them; damages a database.

    fault_writer.py fill   MOUNT NOTES MIB    files of 0.1 to 2 MiB until so much is written
    fault_writer.py errors MOUNT NOTES        40 files while the disk fails; counts what was told
    fault_writer.py verify MOUNT NOTES        every acknowledged file is there as written
    fault_writer.py judge  MOUNT NOTES        files may be refused, but none may have wrong bytes
    fault_writer.py damage DATABASE SEED      flips bytes in some of its pages
"""

import collections
import errno
import hashlib
import os
import random
import sys

PAGE = 4096
FAILURES_MAX = 20


def folder(mount, notes):
    return os.path.join(mount, "files-" + os.path.basename(notes))


def store(path, data):
    """Writes a file; which call was refused, and with what, or None."""
    step, fd = "open", -1
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        step, rest = "write", data
        while rest:
            rest = rest[os.write(fd, rest):]
        step = "fsync"
        os.fsync(fd)
        step = "close"
        os.close(fd)
        step, fd = "fsync of the folder", os.open(os.path.dirname(path), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        return None
    except OSError as error:
        if fd >= 0 and step != "close":
            try:
                os.close(fd)
            except OSError:
                pass
        return step, errno.errorcode.get(error.errno, str(error.errno))


def write(mount, notes, total, count_max, failures_max):
    generator = random.Random(notes)
    told, acknowledged, done, failures = collections.Counter(), 0, 0, 0
    try:
        os.makedirs(folder(mount, notes), exist_ok=True)
    except OSError as error:
        told["mkdir", errno.errorcode.get(error.errno, str(error.errno))] += 1
    with open(notes, "a", encoding="ascii") as log:
        for number in range(count_max):
            data = generator.randbytes(generator.choice([100_000, 700_000, 2_000_000]))
            path = os.path.join(folder(mount, notes), f"{number}")
            refused = store(path, data)
            if refused:
                told[refused] += 1
                failures += 1
                if failures >= failures_max:
                    break
                continue
            log.write(f"{number} {hashlib.sha256(data).hexdigest()}\n")
            log.flush()
            acknowledged += 1
            done += len(data)
            if done >= total:
                break
    refusals = "; ".join(f"{step} {code} {count}" for (step, code), count in told.most_common())
    print(f"{acknowledged} files, {done >> 20} MiB acknowledged; refused: {refusals or 'none'}")
    return 0


def noted(notes):
    with open(notes, encoding="ascii") as log:
        return [line.split() for line in log]


def verify(mount, notes, may_fail):
    errors, wrong, right = collections.Counter(), [], 0
    for name, sha in noted(notes):
        try:
            with open(os.path.join(folder(mount, notes), name), "rb") as file:
                data = file.read()
        except OSError as error:
            errors[errno.errorcode.get(error.errno, str(error.errno))] += 1
            continue
        if hashlib.sha256(data).hexdigest() == sha:
            right += 1
        else:
            wrong.append(f"{name} ({len(data)} bytes)")
    print(f"{right} files right, wrong {len(wrong)}, errors {sum(errors.values())}"
          + (f" {dict(errors)}" if errors else ""))
    if wrong:
        print("wrong bytes: " + ", ".join(wrong[:10]))
    return 1 if wrong or (errors and not may_fail) else 0


def damage(path, seed):
    generator = random.Random(seed)
    pages = os.path.getsize(path) // PAGE
    with open(path, "r+b", buffering=0) as file:
        for page in sorted(generator.sample(range(pages), min(pages, generator.choice([1, 1, 2, 5])))):
            at = page * PAGE + generator.randrange(PAGE)
            count = min(generator.choice([1, 8, 64, 4096]), (page + 1) * PAGE - at)
            old = os.pread(file.fileno(), count, at)
            os.pwrite(file.fileno(), bytes(b ^ generator.randrange(1, 256) for b in old), at)
            print(f"seed {seed}: {count} bytes at {at} of page {page + 1} of {pages}")
    return 0


def main():
    verb, where, notes = sys.argv[1:4]
    if verb == "fill":
        return write(where, notes, int(sys.argv[4]) << 20, 10**6, FAILURES_MAX)
    if verb == "errors":
        return write(where, notes, 1 << 60, 40, 40)
    if verb == "damage":
        return damage(where, int(notes))
    return verify(where, notes, verb == "judge")


if __name__ == "__main__":
    sys.exit(main())
