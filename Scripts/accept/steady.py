"""Writes and reads files without a pause and judges every byte: steady.py DIR RECORD STOP [SEED]

A line `path sha256 bytes` is appended to RECORD after each file that is written and closed. Every
other step reads an earlier file back, whichever, and compares. Ends with 0 when the file STOP
appears; ends with 1, and says why, at the first error or wrong byte.
"""

import hashlib
import os
import random
import sys
import time


def main(directory, record, stop, seed):
    generator = random.Random(seed)
    known = []
    if os.path.exists(record):
        with open(record) as lines:
            known = [line.split() for line in lines]
    written = read = 0
    slowest = 0.0
    with open(record, "a") as log:
        while not os.path.exists(stop):
            begun = time.monotonic()
            if not known or generator.random() < 0.4:
                size = generator.choice([300, 20_000, 300_000, 3_000_000])
                body = generator.randbytes(size)
                path = f"{directory}/{seed}-{len(known)}"
                with open(path, "wb") as file:
                    file.write(body)
                known.append([path, hashlib.sha256(body).hexdigest(), str(size)])
                log.write(" ".join(known[-1]) + "\n")
                log.flush()
                written += 1
            else:
                path, digest, size = generator.choice(known)
                with open(path, "rb") as file:
                    body = file.read()
                if len(body) != int(size) or hashlib.sha256(body).hexdigest() != digest:
                    print(f"{path}: wrong bytes ({len(body)} of {size})")
                    return 1
                read += 1
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.02)
    print(f"{written} files written, {read} read and right, the slowest step {slowest:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], int(sys.argv[4]) if len(sys.argv) > 4 else 1))
