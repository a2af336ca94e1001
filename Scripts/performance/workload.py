"""Small pieces of work with a clock: workload.py WHAT ARGUMENTS; prints one number, a rate.

write FILE MIB        MB/s until fsync returned, of noise that neither compresses nor repeats
read FILE             MB/s, and every block's stamp is as it was written
create DIR COUNT      files of 300 bytes a second
tree DIR COUNT WIDE   files of 300 bytes a second, WIDE in each directory
stat DIR COUNT        files a second, at random
list DIR              names a second, of readdir alone
rename DIR COUNT      files a second
unlink DIR COUNT      files a second
poke FILE COUNT       4 KiB writes a second at random places, fsync at the end
peek FILE COUNT       4 KiB reads a second, at the places that poke wrote
sync FILE COUNT       4 KiB appends a second, fsync after each
"""

import os
import random
import sys
import time

MIB = 1 << 20
# A file's body must not be worth sealing, nor be the same as another's.
SMALL = 300


def noise():
    """Blocks of a MiB, each with its number and a shift of its own."""
    pool = memoryview(bytearray(os.urandom(4 * MIB)))
    number = 0
    while True:
        start = number * 4099 * 16 % (3 * MIB)
        block = pool[start : start + MIB]
        block[0:16] = number.to_bytes(8, "little") + b"MEFSnois"
        yield block
        number += 1


def write(path, mib):
    blocks = noise()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for _ in range(int(mib)):
        os.write(file, next(blocks))
    os.fsync(file)
    os.close(file)
    return int(mib) * MIB / 1e6


def read(path):
    block = bytearray(MIB)
    file = os.open(path, os.O_RDONLY)
    number = 0
    while True:
        count = os.readv(file, [block])
        while 0 < count < MIB:
            more = os.readv(file, [memoryview(block)[count:]])
            if more == 0:
                break
            count += more
        if count == 0:
            break
        if block[0:16] != number.to_bytes(8, "little") + b"MEFSnois":
            sys.exit(f"wrong bytes in block {number} of {path}")
        number += 1
    os.close(file)
    return number * MIB / 1e6


def make(path):
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(file, os.urandom(SMALL))
    os.close(file)


def create(directory, count):
    os.makedirs(directory, exist_ok=True)
    for number in range(int(count)):
        make(f"{directory}/new{number:07}")
    return int(count)


def tree(directory, count, wide):
    for number in range(int(count)):
        folder = f"{directory}/{number // int(wide):05}"
        if number % int(wide) == 0:
            os.makedirs(folder)
        make(f"{folder}/file{number:07}")
    return int(count)


def some(directory, count):
    names = sorted(os.listdir(directory))
    random.Random(1).shuffle(names)
    return [f"{directory}/{name}" for name in names[: int(count)]]


def stat(directory, count):
    chosen = some(directory, count)
    begun = time.monotonic()
    for path in chosen:
        os.stat(path)
    return len(chosen), time.monotonic() - begun


def list_names(directory):
    return len(os.listdir(directory))


def rename(directory, count):
    for number in range(int(count)):
        os.rename(f"{directory}/new{number:07}", f"{directory}/old{number:07}")
    return int(count)


def unlink(directory, count):
    for number in range(int(count)):
        os.unlink(f"{directory}/old{number:07}")
    return int(count)


def places(file, count):
    pages = os.fstat(file).st_size // 4096
    generator = random.Random(2)
    return [generator.randrange(pages) * 4096 for _ in range(int(count))]


def poke(path, count):
    file = os.open(path, os.O_WRONLY)
    page = os.urandom(4096)
    for place in places(file, count):
        os.pwrite(file, page, place)
    os.fsync(file)
    os.close(file)
    return int(count)


def peek(path, count):
    file = os.open(path, os.O_RDONLY)
    for place in places(file, count):
        if not any(os.pread(file, 4096, place)):
            sys.exit(f"the page at {place} of {path} is lost")
    os.close(file)
    return int(count)


def sync(path, count):
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for _ in range(int(count)):
        os.write(file, os.urandom(4096))
        os.fsync(file)
    os.close(file)
    return int(count)


WORK = {
    "write": write,
    "read": read,
    "create": create,
    "tree": tree,
    "stat": stat,
    "list": list_names,
    "rename": rename,
    "unlink": unlink,
    "poke": poke,
    "peek": peek,
    "sync": sync,
}


def main(what, *arguments):
    begun = time.monotonic()
    done = WORK[what](*arguments)
    amount, seconds = done if isinstance(done, tuple) else (done, time.monotonic() - begun)
    print(f"{amount / max(seconds, 1e-6):.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in WORK:
        sys.exit(__doc__)
    main(*sys.argv[1:])
