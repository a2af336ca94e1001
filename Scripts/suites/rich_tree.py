#!/usr/bin/env python3
"""A tree with everything in it that a filesystem can hold, and a manifest of any tree.

    rich_tree.py make DIR [--no-acls]
    rich_tree.py list DIR     one line of JSON for each entry, sorted
"""

import hashlib
import json
import os
import random
import socket
import stat
import subprocess
import sys

NAMES = ["plain", "two words", " leading", "trailing ", "new\nline", "tab\t", "quote'\"", "back\\slash", "*?[",
         "-rf", "\u00fcml\u00e4ut", "\u65e5\u672c\u8a9e", "\U0001f600", "\udcff\udcfe", "n" * 255, ".hidden", "...", "~", "#x#", "a:b"]
TIMES = [0, 1, 999_999_999, 10**18 + 123_456_789, -1, -(10**17) - 7, 4 * 10**18 + 5, 1_700_000_000_000_000_001]


def make(top, with_acls):
    generator = random.Random(1)
    os.mkdir(top)
    os.chdir(top)
    files = []
    for folder in ("names", "deep/" + "/".join(f"level-{i}" for i in range(30)), "wide"):
        os.makedirs(folder)
        for name in NAMES:
            path = f"{folder}/{name}"
            with open(path, "wb") as file:
                file.write(generator.randbytes(generator.choice([0, 1, 4095, 65_537, 1_200_000])))
            files.append(path)
    for i in range(500):
        with open(f"wide/{i}", "wb") as file:
            file.write(generator.randbytes(i * 7))
        files.append(f"wide/{i}")
    special()
    sparse()
    os.mkdir("links")
    for i, path in enumerate(files[:40]):
        os.link(path, f"links/hard-{i}")
        os.symlink("../" + path, f"links/soft-{i}")
    os.symlink("t" * 4000, "links/long")
    os.symlink("nowhere", "links/dangling")
    os.link("links/dangling", "links/dangling-2")
    attributes(files, generator)
    if with_acls:
        acls(files)
    modes(files, generator)
    times(generator)


def special():
    os.mkdir("special")
    os.mkfifo("special/fifo")
    os.link("special/fifo", "special/fifo-2")
    os.mknod("special/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod("special/big", stat.S_IFBLK | 0o600, os.makedev(259, 70_000))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("special/socket")
    os.mkdir("special/empty")


def sparse():
    os.mkdir("sparse")
    for name, size, pieces in (("hole", 1 << 30, []), ("ends", 300 << 20, [0, (300 << 20) - 5]),
                               ("middle", 64 << 20, [5 << 20, (9 << 20) + 3])):
        with open(f"sparse/{name}", "wb") as file:
            file.truncate(size)
            for at in pieces:
                file.seek(at)
                file.write(b"data!")


def attributes(files, generator):
    for i, path in enumerate(files[::5]):
        os.setxattr(path, "user.plain", b"value")
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "user." + "n" * 240, generator.randbytes(300))
        os.setxattr(path, "trusted.owner", generator.randbytes(20))
        if i % 3 == 0:
            os.setxattr(path, "security.label", b"system_u:object_r:etc_t:s0\0")
    os.setxattr("names", "user.on-a-directory", b"\0\xff")
    os.setxattr("links/soft-1", "trusted.on-a-link", b"x", follow_symlinks=False)


def acls(files):
    acl = ["setfacl", "-m", "u:1001:rwx,g:2000:r-x,u:1002:---,m::rw-"]
    subprocess.run(acl + files[3:30:4], check=True)
    subprocess.run(["setfacl", "-m", "d:u:1001:rwx,d:g::r-x,u:1002:r-x", "wide", "special/empty"], check=True)
    os.mkdir("wide/inherits")
    with open("wide/inherits/file", "wb"):
        pass


def modes(files, generator):
    for i, path in enumerate(files[1::3]):
        os.chown(path, generator.choice([0, 1001, 65_534, 4_000_000_000]), generator.choice([0, 2000]))
        if os.listxattr(path) == []:
            os.chmod(path, generator.choice([0o4755, 0o2755, 0o6711, 0, 0o444, 0o1644, 0o777]))
    os.chmod("special/empty", 0o3777)
    os.lchown("links/soft-2", 1001, 2000)


def times(generator):
    for folder, _, files in os.walk(".", topdown=False):
        for name in files + ["."]:
            modified = generator.choice(TIMES + [generator.randrange(10**18) for _ in TIMES])
            os.utime(os.path.join(folder, name), ns=(modified, modified), follow_symlinks=False)
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                os.utime(path, ns=(5, generator.choice(TIMES)), follow_symlinks=False)


def entry(path, first):
    status = os.lstat(path)
    line = {"path": os.fsdecode(path), "mode": oct(status.st_mode), "owner": [status.st_uid, status.st_gid],
            "links": status.st_nlink, "mtime": status.st_mtime_ns,
            "xattrs": {name: os.getxattr(path, name, follow_symlinks=False).hex()
                       for name in sorted(os.listxattr(path, follow_symlinks=False))
                       if not name.startswith("user.mefs.")}}
    if stat.S_ISREG(status.st_mode):
        line["size"] = status.st_size
        line["sha"] = digest(path)
    elif stat.S_ISLNK(status.st_mode):
        line["target"] = os.fsdecode(os.readlink(path))
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        line["device"] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    if not stat.S_ISDIR(status.st_mode):
        line["same as"] = first.setdefault(status.st_ino, os.fsdecode(path))
    return line


def digest(path):
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            whole.update(piece)
    return whole.hexdigest()


def list_tree(top):
    os.chdir(top)
    paths = [b"."]
    for folder, folders, files in os.walk(b"."):
        paths += [os.path.join(folder, name) for name in folders + files]
    first = {}
    for path in sorted(paths):
        print(json.dumps(entry(path, first)))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], with_acls="--no-acls" not in sys.argv)
    else:
        list_tree(sys.argv[2])
