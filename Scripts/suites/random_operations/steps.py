"""Draws steps: operations that are likely to meet something, some of them meant to fail."""

import fcntl
import os
import random
import stat

NAMES = ["a", "b", "c", "d", "e", "f", "g", "h", "\u00fcml\u00e4ut", "two words", "new\nline", "-rf", "*",
         "\udcff\udcfe", "x" * 255, "y" * 200]
OFFSETS = [0, 1, 100, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_072, 1_048_575, 1_048_576, 1_048_577]
MODES = [0o777, 0o755, 0o700, 0o1777, 0o2775, 0o2755, 0o6755, 0o4711, 0o644, 0o600, 0o666, 0o640, 0]
XATTRS = ["user.a", "user.b", "user." + "n" * 200, "trusted.t", "security.s"]
ODD_XATTRS = ["user.", "wrong", "", "user." + "n" * 251]
SLOTS = 10
ENTRIES_MAX = 90
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 0x10
NOREPLACE, EXCHANGE = 1, 2


class Steps:
    """Steps from a seed. `known` is what the reference holds: path -> status."""

    def __init__(self, seed, without):
        self.random = random.Random(seed)
        self.known = {b".": None}
        self.slots = {}
        self.without = without
        self.xattrs = [name for name in XATTRS if name[:7] != "trusted" or "trusted" not in without]
        self.odd_xattrs = self.xattrs if "odd_xattr" in without else ODD_XATTRS
        self.modes = [mode for mode in MODES if not mode & 0o2000] if "sgid" in without else MODES
        self.kinds = [(name[5:], weight) for name, weight in self.WEIGHTS if name[5:] not in without]

    WEIGHTS = [
        ("draw_open", 14), ("draw_tmpfile", 1), ("draw_close", 6), ("draw_mkdir", 4), ("draw_rmdir", 2),
        ("draw_unlink", 4), ("draw_mknod", 2), ("draw_symlink", 2), ("draw_readlink", 1),
        ("draw_link", 3), ("draw_link_slot", 1), ("draw_rename", 5), ("draw_rename_flags", 3),
        ("draw_listing", 2), ("draw_access", 2), ("draw_stat", 3), ("draw_chmod", 3),
        ("draw_chown", 3), ("draw_utimens", 2), ("draw_touch", 1), ("draw_xattr", 6),
        ("draw_write", 6), ("draw_pwrite", 12), ("draw_writev", 2), ("draw_read", 3),
        ("draw_pread", 8), ("draw_seek", 2), ("draw_holes", 2), ("draw_truncate", 5),
        ("draw_fallocate", 6), ("draw_copy_range", 3), ("draw_sendfile", 1), ("draw_map", 3),
        ("draw_mapped_write", 5), ("draw_mapped_read", 3), ("draw_msync", 2),
        ("draw_set_flags", 1), ("draw_fsync", 3), ("draw_sync_all", 1), ("draw_flock", 2),
        ("draw_lock_range", 2),
    ]

    def draw(self):
        while True:
            kind = self.random.choices([k for k, _ in self.kinds], [w for _, w in self.kinds])[0]
            step = getattr(self, "draw_" + kind)()
            if step is not None:
                break
        chance = self.random.random()
        step["user"] = 0 if chance < 0.7 else 1001 if chance < 0.9 else 1002
        if step["do"] == "link_slot":
            step["user"] = 0  # /proc/self/fd is the superuser's once we were another.
        if self.random.random() < 0.2:
            step["umask"] = self.random.choice([0, 0o027, 0o077, 0o777])
        return step

    # Names

    def existing(self, test=None):
        paths = [path for path, status in self.known.items()
                 if status is not None and (test is None or test(status.st_mode))]
        return os.fsdecode(self.random.choice(sorted(paths))) if paths else self.fresh()

    def folder(self):
        paths = sorted(path for path, status in self.known.items()
                       if status is None or stat.S_ISDIR(status.st_mode))
        path = os.fsdecode(self.random.choice(paths))
        return path if path.count("/") < 4 else "."

    def fresh(self):
        folder, name = self.folder(), self.random.choice(NAMES)
        return name if folder == "." else f"{folder}/{name}"

    def path(self, test=None, there=0.85):
        chance = self.random.random()
        if chance < there:
            return self.existing(test)
        if chance < there + (1 - there) * 0.6:
            return self.fresh()
        return self.odd()

    def odd(self):
        base = self.existing()
        return self.random.choice([base + "/a", base + "/", base + "/.", base + "/..", "none/a", ".",
                                   "..", base + "/" + "z" * 256, "z" * 256, "./" + base, ""])

    def new(self):
        if len(self.known) > ENTRIES_MAX:
            return self.existing()
        return self.path(there=0.15)

    def slot(self):
        return self.random.choice(sorted(self.slots)) if self.slots else None

    def on_slot(self, do, *arguments):
        slot = self.slot()
        return None if slot is None else {"do": do, "with": [slot, *arguments], "slots": [slot]}

    def on_path(self, do, path, *arguments):
        return {"do": do, "with": [path, *arguments], "paths": [path]}

    def draw_open(self):
        if len(self.slots) >= SLOTS:
            return self.draw_close()
        flags = self.random.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR, os.O_RDWR])
        for flag, chance in ((os.O_CREAT, 0.6), (os.O_EXCL, 0.1), (os.O_TRUNC, 0.1),
                             (os.O_APPEND, 0.15), (os.O_NOFOLLOW, 0.1), (os.O_DIRECTORY, 0.03),
                             (os.O_SYNC, 0.02), (os.O_DSYNC, 0.02)):
            if self.random.random() < chance:
                flags |= flag
        if flags & os.O_CREAT and flags & os.O_DIRECTORY:
            flags &= ~os.O_DIRECTORY
        path = self.path(stat.S_ISREG) if self.random.random() < 0.6 else self.new()
        slot = min(set(range(SLOTS)) - set(self.slots))
        return {"do": "open", "with": [slot, path, flags, self.random.choice(self.modes)],
                "paths": [path], "slots": [slot]}

    def draw_tmpfile(self):
        if len(self.slots) >= SLOTS:
            return None
        folder, slot = self.folder(), min(set(range(SLOTS)) - set(self.slots))
        flags = os.O_TMPFILE | self.random.choice([os.O_RDWR, os.O_RDWR | os.O_EXCL])
        return {"do": "open", "with": [slot, folder, flags, self.random.choice(self.modes)],
                "slots": [slot], "paths": [folder]}

    def draw_close(self):
        return self.on_slot("close")

    def draw_mkdir(self):
        return self.on_path("mkdir", self.new(), self.random.choice(self.modes))

    def draw_rmdir(self):
        return self.on_path("rmdir", self.path(stat.S_ISDIR))

    def draw_unlink(self):
        return self.on_path("unlink", self.path(lambda mode: not stat.S_ISDIR(mode)))

    def draw_mknod(self):
        kinds = [stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFREG]
        kinds += [] if "device" in self.without else [stat.S_IFCHR, stat.S_IFBLK]
        kind = self.random.choice(kinds)
        device = (1, 3) if kind in (stat.S_IFCHR, stat.S_IFBLK) else (0, 0)
        return self.on_path("mknod", self.new(), kind | self.random.choice(self.modes), *device)

    def draw_symlink(self):
        target = self.random.choice([self.existing(), "a", "../a", ".", "t" * 4000, "/none/a", ""])
        path = self.new()
        return {"do": "symlink", "with": [target, path], "paths": [path]}

    def draw_readlink(self):
        return self.on_path("readlink", self.path(stat.S_ISLNK))

    def two(self, do, old, new, *arguments):
        return {"do": do, "with": [old, new, *arguments], "paths": [old, new]}

    def draw_link(self):
        return self.two("link", self.path(), self.new(), self.random.random() < 0.3)

    def draw_link_slot(self):
        slot, path = self.slot(), self.new()
        return None if slot is None else {
            "do": "link_slot", "with": [slot, path], "slots": [slot], "paths": [path]}

    def draw_rename(self):
        return self.two("rename", self.path(), self.path(there=0.5), 0)

    def draw_rename_flags(self):
        flags = self.random.choice([NOREPLACE, EXCHANGE, EXCHANGE, NOREPLACE | EXCHANGE])
        return self.two("rename", self.path(), self.path(there=0.6), flags)

    def draw_listing(self):
        return self.on_path("listing", self.path(stat.S_ISDIR))

    def draw_access(self):
        return {"do": "access", "with": [self.path(), self.random.randrange(8)]}

    def draw_stat(self):
        return {"do": "stat", "with": [self.path(), self.random.random() < 0.5]}

    # Attributes

    def draw_chmod(self):
        if self.random.random() < 0.3:
            return self.on_slot("fchmod", self.random.choice(self.modes))
        return self.on_path("chmod", self.path(), self.random.choice(self.modes))

    def draw_chown(self):
        owner = self.random.choice([0, 1001, 1001, 1002, -1])
        group = self.random.choice([0, 1001, 2000, 1002, -1])
        if self.random.random() < 0.3:
            return self.on_slot("fchown", owner, group)
        return self.on_path("chown", self.path(), owner, group, self.random.random() < 0.6)

    def draw_utimens(self):
        times = [self.random.choice([0, 1, 999_999_999, self.random.randrange(10**18)]) for _ in range(2)]
        return self.on_path("utimens", self.path(), *times, self.random.random() < 0.7)

    def draw_touch(self):
        return self.on_path("touch", self.path())

    def draw_xattr(self):
        follow = self.random.random() < 0.7
        name = self.random.choice(self.odd_xattrs if self.random.random() < 0.1 else self.xattrs)
        path, kind = self.path(), self.random.randrange(6)
        if kind < 3:
            # No value twice: ext4 leaves the change time as it is when the value is the old one.
            return self.on_path("setxattr", path, name, self.random.randrange(10**6) * 7 + 2,
                                self.random.choice([8, 30, 255, 700]), self.random.choice([0, 0, 1, 2]), follow)
        if kind == 3:
            return self.on_path("getxattr", path, name, follow)
        if kind == 4:
            return self.on_path("removexattr", path, name, follow)
        return self.on_path("listxattr", path, follow)

    # Contents

    def offset(self):
        chance = self.random.random()
        if chance < 0.4:
            return self.random.choice(OFFSETS)
        if chance < 0.95:
            return self.random.randrange(3 << 20)
        return self.random.choice([100 << 20, (1 << 32) - 5, (1 << 40) + 7])

    def count(self):
        chance = self.random.random()
        if chance < 0.5:
            return self.random.randrange(9000)
        if chance < 0.95:
            return self.random.choice([0, 1, 4096, 65_536, self.random.randrange(300_000)])
        return self.random.randrange(2 << 20)

    def seed(self):
        return self.random.randrange(10**9)

    def draw_write(self):
        return self.on_slot("write", self.seed(), self.count())

    def draw_pwrite(self):
        return self.on_slot("pwrite", self.seed(), self.count(), self.offset())

    def draw_writev(self):
        return self.on_slot("writev", self.seed(), [self.count() // 3 for _ in range(3)], self.offset())

    def draw_read(self):
        return self.on_slot("read", self.count())

    def draw_pread(self):
        return self.on_slot("pread", self.count(), self.offset())

    def draw_seek(self):
        whence = self.random.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])
        return self.on_slot("seek", self.random.choice([0, 10, -10, 4096, 1 << 20]), whence)

    def draw_holes(self):
        return self.on_slot("holes", self.offset())

    def draw_truncate(self):
        if self.random.random() < 0.6:
            return self.on_slot("ftruncate", self.offset())
        return self.on_path("truncate", self.path(stat.S_ISREG), self.offset())

    def draw_fallocate(self):
        mode = self.random.choice([0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE,
                                   ZERO_RANGE, ZERO_RANGE | KEEP_SIZE])
        offset = self.random.choice(OFFSETS + [self.random.randrange(3 << 20)])
        return self.on_slot("fallocate", mode, offset, self.count())

    def draw_copy_range(self):
        source, target = self.slot(), self.slot()
        if source is None:
            return None
        return {"do": "copy_range", "slots": [source, target],
                "with": [source, target, self.count(), self.offset(), self.offset()]}

    def draw_sendfile(self):
        source, target = self.slot(), self.slot()
        if source is None:
            return None
        return {"do": "sendfile", "slots": [source, target],
                "with": [source, target, self.offset(), self.count()]}

    def draw_map(self):
        return self.on_slot("map")

    def draw_mapped_write(self):
        return self.on_slot("mapped_write", self.seed(), self.count(), self.offset())

    def draw_mapped_read(self):
        return self.on_slot("mapped_read", self.count(), self.offset())

    def draw_msync(self):
        return self.on_slot("msync")

    def draw_set_flags(self):
        return self.on_slot("set_flags", self.random.choice([0, os.O_APPEND]))

    def draw_fsync(self):
        return self.on_slot(self.random.choice(["fsync", "fdatasync"]))

    def draw_sync_all(self):
        return {"do": "sync_all"}

    def draw_flock(self):
        return self.on_slot("flock", self.random.choice([fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN]))

    def draw_lock_range(self):
        kind = self.random.choice([fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK])
        return self.on_slot("lock_range", kind, self.random.choice([0, 50, 100]), self.random.choice([0, 60]))
