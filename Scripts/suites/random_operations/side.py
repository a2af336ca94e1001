"""One of the two directories that are compared: performs operations, tells what came of them."""

import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import random
import stat
import struct

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
OFD_SETLK = 37
MAPPED_MAX = 4 << 20
USERS = {0: (0, []), 1001: (1001, [2000]), 1002: (1002, [])}


def call(name, *arguments):
    """A C function whose failure is an OSError."""
    result = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def data(seed, count):
    """The bytes that a seed stands for; some are long runs of one byte, some all zeros."""
    if seed % 7 == 0:
        return bytes(count)
    if seed % 7 == 1:
        return bytes([seed % 256]) * count
    return random.Random(seed).randbytes(count)


def digest(body):
    return f"{len(body)}:{hashlib.sha256(body).hexdigest()[:16]}"


def facts(status):
    """What of a file's status must be equal on both sides."""
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return (oct(status.st_mode), status.st_uid, status.st_gid, status.st_nlink, size, status.st_rdev)


class Side:
    """A directory, and the slots of files that are open in it."""

    def __init__(self, root):
        self.root = root
        self.slots = {}
        self.top = None
        self.enter()

    def enter(self):
        self.top = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)

    def leave(self):
        """Closes all, so that the directory can be unmounted."""
        for slot in list(self.slots):
            self.do_close(slot)
        os.chdir("/")
        if self.top is not None:
            os.close(self.top)
        self.top = None

    def perform(self, step):
        """The result of one step: a value that can be compared, or the name of an errno."""
        os.fchdir(self.top)
        watched = self.watched(step)
        before = [self.times(each) for each in watched]
        # Whether truncate(2) to the size that a file has is a change, filesystems are not agreed on.
        same_size = step["do"] == "truncate" and self.size(step["with"][0]) == step["with"][1]
        group, groups = USERS[step.get("user", 0)]
        umask = os.umask(step.get("umask", 0o022))
        if group:
            os.setgroups(groups)
            os.setegid(group)
            os.seteuid(step["user"])
        try:
            result = getattr(self, "do_" + step["do"])(*step.get("with", []))
        except OSError as error:
            result = errno.errorcode.get(error.errno, str(error.errno))
        finally:
            if group:
                os.seteuid(0)
                os.setegid(0)
                os.setgroups([])
            os.umask(umask)
        if step["do"] == "mapped_write" or same_size:
            return result, []
        return result, [self.change(each, old) for each, old in zip(watched, before)]

    def watched(self, step):
        """Paths and slots whose status a step may change, parents included."""
        found = []
        for slot in step.get("slots", []):
            found.append(slot)
        for path in step.get("paths", []):
            name = os.fsencode(path)
            found.append(name)
            found.append(os.path.dirname(name.rstrip(b"/")) or b".")
        return found

    @staticmethod
    def size(path):
        try:
            status = os.stat(os.fsencode(path))
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def times(self, what):
        try:
            status = self.status(what)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_ino

    def status(self, what):
        if isinstance(what, bytes):
            return os.lstat(what)
        if what not in self.slots:
            raise OSError(errno.EBADF, "closed")
        return os.fstat(self.slots[what][0])

    def change(self, what, old):
        """The status after a step, and which of its times are new."""
        try:
            status = self.status(what)
        except OSError as error:
            return errno.errorcode[error.errno]
        new = None
        # The kernel keeps no times of what is written to a FIFO of a FUSE mount.
        if old and not stat.S_ISFIFO(status.st_mode) and old[2] == status.st_ino:
            new = "".join(name for name, was, is_now in (
                ("m", old[0], status.st_mtime_ns), ("c", old[1], status.st_ctime_ns)) if was != is_now)
            if status.st_ctime_ns < old[1]:
                new += " ctime went back"
        return facts(status), new

    # Names

    def do_open(self, slot, path, flags, mode):
        fd = os.open(os.fsencode(path), flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
        self.slots[slot] = [fd, None]
        return "opened"

    def do_close(self, slot):
        fd, mapping = self.slots.pop(slot)
        if mapping is not None:
            mapping.close()
        os.close(fd)
        return "closed"

    def do_mkdir(self, path, mode):
        os.mkdir(os.fsencode(path), mode)

    def do_rmdir(self, path):
        os.rmdir(os.fsencode(path))

    def do_unlink(self, path):
        os.unlink(os.fsencode(path))

    def do_mknod(self, path, mode, major, minor):
        os.mknod(os.fsencode(path), mode, os.makedev(major, minor))

    def do_symlink(self, target, path):
        os.symlink(os.fsencode(target), os.fsencode(path))

    def do_readlink(self, path):
        return os.fsdecode(os.readlink(os.fsencode(path)))

    def do_link(self, old, new, follow):
        call("linkat", AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new),
             AT_SYMLINK_FOLLOW if follow else 0)

    def do_link_slot(self, slot, new):
        call("linkat", AT_FDCWD, f"/proc/self/fd/{self.slots[slot][0]}".encode(), AT_FDCWD,
             os.fsencode(new), AT_SYMLINK_FOLLOW)

    def do_rename(self, old, new, flags):
        call("renameat2", AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags)

    def do_listing(self, path):
        return sorted((os.fsdecode(each.name), each.is_dir(follow_symlinks=False),
                       each.is_symlink()) for each in os.scandir(os.fsencode(path)))

    def do_access(self, path, mode):
        return os.access(os.fsencode(path), mode, effective_ids=True)

    # Attributes

    def do_stat(self, path, follow):
        return facts(os.stat(os.fsencode(path), follow_symlinks=follow))

    def do_chmod(self, path, mode):
        os.chmod(os.fsencode(path), mode)

    def do_fchmod(self, slot, mode):
        os.fchmod(self.slots[slot][0], mode)

    def do_chown(self, path, uid, gid, follow):
        os.chown(os.fsencode(path), uid, gid, follow_symlinks=follow)

    def do_fchown(self, slot, uid, gid):
        os.fchown(self.slots[slot][0], uid, gid)

    def do_utimens(self, path, access, modification, follow):
        os.utime(os.fsencode(path), ns=(access, modification), follow_symlinks=follow)
        status = os.stat(os.fsencode(path), follow_symlinks=follow)
        return status.st_atime_ns, status.st_mtime_ns

    def do_touch(self, path):
        os.utime(os.fsencode(path))

    def do_setxattr(self, path, name, seed, count, flags, follow):
        os.setxattr(os.fsencode(path), name, data(seed, count), flags, follow_symlinks=follow)

    def do_getxattr(self, path, name, follow):
        return digest(os.getxattr(os.fsencode(path), name, follow_symlinks=follow))

    def do_removexattr(self, path, name, follow):
        os.removexattr(os.fsencode(path), name, follow_symlinks=follow)

    def do_listxattr(self, path, follow):
        return attributes(os.fsencode(path), follow)

    # Contents

    def do_write(self, slot, seed, count):
        return os.write(self.slots[slot][0], data(seed, count))

    def do_pwrite(self, slot, seed, count, offset):
        return os.pwrite(self.slots[slot][0], data(seed, count), offset)

    def do_writev(self, slot, seed, counts, offset):
        return os.pwritev(self.slots[slot][0], [data(seed + i, n) for i, n in enumerate(counts)], offset)

    def do_read(self, slot, count):
        return digest(os.read(self.slots[slot][0], count))

    def do_pread(self, slot, count, offset):
        return digest(os.pread(self.slots[slot][0], count, offset))

    def do_seek(self, slot, offset, whence):
        fd = self.slots[slot][0]
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return "no file"
        return os.lseek(fd, offset, whence)

    def do_holes(self, slot, offset):
        """Where data begins may be rounded; but what is told to be a hole must read as zeros."""
        fd = self.slots[slot][0]
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return "no file"
        if offset >= status.st_size:
            return os.lseek(fd, offset, os.SEEK_DATA)
        try:
            start = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            start = status.st_size
        os.lseek(fd, 0, os.SEEK_SET)
        hole = os.pread(fd, min(start - offset, 1 << 22), offset)
        return "zeros" if not any(hole) else f"a hole at {offset} is not zero"

    def do_truncate(self, path, size):
        os.truncate(os.fsencode(path), size)

    def do_ftruncate(self, slot, size):
        os.ftruncate(self.slots[slot][0], size)

    def do_fallocate(self, slot, mode, offset, count):
        call("fallocate", self.slots[slot][0], mode, ctypes.c_long(offset), ctypes.c_long(count))

    def do_copy_range(self, source, target, count, offset, to):
        return os.copy_file_range(self.slots[source][0], self.slots[target][0], count, offset, to)

    def do_sendfile(self, source, target, offset, count):
        return os.sendfile(self.slots[target][0], self.slots[source][0], offset, count)

    def do_map(self, slot):
        held = self.slots[slot]
        if held[1] is not None:
            held[1].close()
            held[1] = None
        status = os.fstat(held[0])
        count = min(status.st_size, MAPPED_MAX)
        if count == 0 or not stat.S_ISREG(status.st_mode):
            return "nothing"
        held[1] = mmap.mmap(held[0], count)
        return count

    def do_mapped_write(self, slot, seed, count, offset):
        fd, mapping = self.slots[slot]
        if mapping is None:
            return "not mapped"
        end = min(len(mapping), os.fstat(fd).st_size, offset + count)
        if offset >= end:
            return "nothing"
        mapping[offset:end] = data(seed, end - offset)
        return end - offset

    def do_mapped_read(self, slot, count, offset):
        fd, mapping = self.slots[slot]
        if mapping is None:
            return "not mapped"
        return digest(mapping[offset:min(len(mapping), os.fstat(fd).st_size, offset + count)])

    def do_msync(self, slot):
        fd, mapping = self.slots[slot]
        if mapping is None:
            return "not mapped"
        mapping.flush()

    def do_set_flags(self, slot, flags):
        fd = self.slots[slot][0]
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        return fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_LARGEFILE

    def do_fsync(self, slot):
        os.fsync(self.slots[slot][0])

    def do_fdatasync(self, slot):
        os.fdatasync(self.slots[slot][0])

    def do_sync_all(self):
        call("syncfs", self.top)

    # Locks

    def do_flock(self, slot, kind):
        fcntl.flock(self.slots[slot][0], kind | fcntl.LOCK_NB)

    def do_lock_range(self, slot, kind, start, count):
        lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, count, 0)
        fcntl.fcntl(self.slots[slot][0], OFD_SETLK, lock)


def attributes(path, follow=False):
    """Extended attributes with digests of their values; what the mount tells of itself is not one."""
    return sorted((name, digest(os.getxattr(path, name, follow_symlinks=follow)))
                  for name in os.listxattr(path, follow_symlinks=follow)
                  if not name.startswith("user.mefs."))
