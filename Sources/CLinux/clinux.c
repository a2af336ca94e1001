#define _GNU_SOURCE
#include "clinux.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

const int32_t clinux_O_DIRECT = O_DIRECT;
const int32_t clinux_O_TMPFILE = O_TMPFILE;
const int32_t clinux_O_PATH = O_PATH;

int32_t clinux_allocate(int32_t fd, int64_t offset, int64_t length, bool keep_size) {
    return fallocate(fd, keep_size ? FALLOC_FL_KEEP_SIZE : 0, offset, length);
}

int32_t clinux_punch_hole(int32_t fd, int64_t offset, int64_t length) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int32_t clinux_zero_range(int32_t fd, int64_t offset, int64_t length, bool keep_size) {
    int mode = FALLOC_FL_ZERO_RANGE | (keep_size ? FALLOC_FL_KEEP_SIZE : 0);
    return fallocate(fd, mode, offset, length);
}

int64_t clinux_seek_data(int32_t fd, int64_t offset) { return lseek(fd, offset, SEEK_DATA); }

int64_t clinux_seek_hole(int32_t fd, int64_t offset) { return lseek(fd, offset, SEEK_HOLE); }

int64_t clinux_copy_range(
    int32_t from, int64_t from_offset, int32_t to, int64_t to_offset, size_t length) {
    off64_t read_at = from_offset;
    off64_t write_at = to_offset;
    return copy_file_range(from, &read_at, to, &write_at, length, 0);
}

int32_t clinux_rename_no_replace(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int32_t clinux_rename_exchange(const char *first, const char *second) {
    return renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE);
}

int64_t clinux_filesystem_type(const char *path) {
    struct statfs result;
    return statfs(path, &result) == 0 ? (int64_t)result.f_type : 0;
}

int32_t clinux_sync_filesystem(int32_t fd) { return syncfs(fd); }

bool clinux_is_open_once(int32_t fd) {
    // The kernel grants a write lease only to who alone has the file open (fcntl(2), F_SETLEASE).
    if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0) return false;
    return fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

int32_t clinux_spread_directories(int32_t fd) {
    int flags;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return -1;
    flags |= FS_TOPDIR_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

int64_t clinux_get_xattr(const char *path, const char *name, void *value, size_t size) {
    return getxattr(path, name, value, size);
}

int32_t clinux_set_xattr(const char *path, const char *name, const void *value, size_t size) {
    return setxattr(path, name, value, size, 0);
}

int32_t clinux_forget_cached(int32_t fd, int64_t offset, int64_t length) {
    return posix_fadvise(fd, offset, length, POSIX_FADV_DONTNEED);
}

int32_t clinux_pipe(int32_t ends[2]) { return pipe2(ends, O_CLOEXEC); }

int32_t clinux_spawn_close_from(void *actions, int32_t first_fd) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first_fd);
}

int32_t clinux_open_process(int32_t pid) { return (int32_t)syscall(SYS_pidfd_open, pid, 0); }

int32_t clinux_thread_id(void) { return gettid(); }

void clinux_name_thread(const char *name) {
    char kept[16];
    snprintf(kept, sizeof kept, "%s", name);
    pthread_setname_np(pthread_self(), kept);
}

int32_t clinux_set_parent_death_signal(int32_t signal) { return prctl(PR_SET_PDEATHSIG, signal); }

int32_t clinux_forbid_dumps(void) {
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none) | prctl(PR_SET_DUMPABLE, 0);
}

int32_t clinux_lock_file(int32_t fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole);
}

int32_t clinux_unlock_file(int32_t fd) {
    struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole);
}

int32_t clinux_is_file_locked(int32_t fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_GETLK, &whole) != 0) {
        return -1;
    }
    return whole.l_type != F_UNLCK;
}

int32_t clinux_block_device_bytes(int32_t fd, uint64_t *bytes) {
    return ioctl(fd, BLKGETSIZE64, bytes);
}

int32_t clinux_memory_file(const char *name) {
    return memfd_create(name, MFD_CLOEXEC);
}

int32_t clinux_accept(int32_t listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC); }

int32_t clinux_peer_credentials(int32_t fd, int32_t *pid, uint32_t *uid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    int32_t result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    if (result == 0) {
        *pid = peer.pid;
        *uid = peer.uid;
    }
    return result;
}

void clinux_release_freed_memory(void) { malloc_trim(0); }

void clinux_keep_freed_memory(size_t largest, size_t kept, int32_t arenas) {
    mallopt(M_MMAP_THRESHOLD, (int)largest);
    mallopt(M_TRIM_THRESHOLD, (int)kept);
    mallopt(M_ARENA_MAX, arenas);
}
