/*
 * Preloaded into mount.mefs by Scripts/accept/faults: makes calls on files below FAULT_PATH fail,
 * and the wall clock jump, as the file FAULT_CONTROL says. Its one line is one of
 *
 *   write SKIP COUNT    after SKIP calls, COUNT calls that write fail with EIO
 *   sync SKIP COUNT     the same of calls that sync
 *   clock SECONDS       the wall clock is so much ahead (or behind, if negative)
 *
 * Without the file, or with another line, all is as it is without this library.
 *
 * With FAULT_EMULATE, for a filesystem below that directory that lacks them (LazyFS), holes are punched
 * by writing zeros, nothing is reserved, no part of a file is a hole, a rename that must replace
 * nothing looks first, and the room is that of the directory itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char kind[16];
static long long first, second, calls;
static struct timespec changed;

/* Reads the control file again if it is another one; called with the lock held. */
static void refresh(void) {
    const char *path = getenv("FAULT_CONTROL");
    struct stat status;
    if (path == NULL || syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0) != 0) {
        kind[0] = 0;
        return;
    }
    if (kind[0] && status.st_mtim.tv_sec == changed.tv_sec && status.st_mtim.tv_nsec == changed.tv_nsec)
        return;
    changed = status.st_mtim;
    calls = first = second = 0;
    kind[0] = 0;
    char text[128] = {0};
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    long count = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (count > 0) sscanf(text, "%15s %lld %lld", kind, &first, &second);
}

static int below(const char *variable, int fd) {
    const char *path = getenv(variable);
    char link[64], target[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t count = readlink(link, target, sizeof target - 1);
    if (path == NULL || count < 0) return 0;
    target[count] = 0;
    return strncmp(target, path, strlen(path)) == 0;
}

/* Whether this call of a kind is to fail. */
static int fails(const char *what, int fd) {
    int result = 0, saved = errno;
    pthread_mutex_lock(&lock);
    refresh();
    if (strcmp(kind, what) == 0 && below("FAULT_PATH", fd)) {
        result = calls >= first && calls < first + second;
        calls++;
    }
    pthread_mutex_unlock(&lock);
    errno = result ? EIO : saved;
    return result;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAILS(what, fd) if (fails(what, fd)) return -1

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    FAILS("write", fd);
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    FAILS("write", fd);
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}
ssize_t write(int fd, const void *bytes, size_t count) {
    FAILS("write", fd);
    return syscall(SYS_write, fd, bytes, count);
}
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at) {
    FAILS("write", fd);
    return REAL(pwritev)(fd, pieces, count, at);
}
static int fallocate_by_writing(int fd, int mode, off_t at, off_t count) {
    static const char zeros[65536];
    struct stat status;
    if (fstat(fd, &status) != 0) return -1;
    off_t end = at + count;
    int is_zeroing = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    if (!(mode & FALLOC_FL_KEEP_SIZE) && end > status.st_size && syscall(SYS_ftruncate, fd, end) != 0)
        return -1;
    if (end > status.st_size) end = status.st_size;
    while (is_zeroing && at < end) {
        size_t part = end - at < (off_t)sizeof zeros ? (size_t)(end - at) : sizeof zeros;
        long done = syscall(SYS_pwrite64, fd, zeros, part, at);
        if (done <= 0) return -1;
        at += done;
    }
    return 0;
}
int fallocate(int fd, int mode, off_t at, off_t count) {
    FAILS("write", fd);
    if (below("FAULT_EMULATE", fd)) return fallocate_by_writing(fd, mode, at, count);
    return syscall(SYS_fallocate, fd, mode, at, count);
}
off_t lseek(int fd, off_t at, int whence) {
    struct stat status;
    if ((whence == SEEK_DATA || whence == SEEK_HOLE) && below("FAULT_EMULATE", fd)) {
        if (fstat(fd, &status) != 0) return -1;
        if (at < status.st_size) return whence == SEEK_DATA ? at : status.st_size;
        errno = ENXIO;
        return -1;
    }
    return syscall(SYS_lseek, fd, at, whence);
}
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    if (getenv("FAULT_EMULATE") && flags == 1) {
        if (faccessat(to, new, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
            errno = EEXIST;
            return -1;
        }
        flags = 0;
    }
    return syscall(SYS_renameat2, from, old, to, new, flags);
}
int statvfs(const char *path, struct statvfs *space) {
    int result = REAL(statvfs)(path, space);
    const char *other = getenv("FAULT_EMULATE");
    if (result != 0 || space->f_blocks != 0 || other == NULL) return result;
    return REAL(statvfs)(other, space);
}
off64_t lseek64(int fd, off64_t at, int whence) { return lseek(fd, at, whence); }
int ftruncate(int fd, off_t size) {
    FAILS("write", fd);
    return syscall(SYS_ftruncate, fd, size);
}
int ftruncate64(int fd, off64_t size) {
    FAILS("write", fd);
    return syscall(SYS_ftruncate, fd, size);
}
int fsync(int fd) {
    FAILS("sync", fd);
    return syscall(SYS_fsync, fd);
}
int fdatasync(int fd) {
    FAILS("sync", fd);
    return syscall(SYS_fdatasync, fd);
}
int syncfs(int fd) {
    FAILS("sync", fd);
    return syscall(SYS_syncfs, fd);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
    pthread_mutex_lock(&lock);
    refresh();
    if (strcmp(kind, "clock") == 0) time->tv_sec += first;
    pthread_mutex_unlock(&lock);
    return 0;
}
