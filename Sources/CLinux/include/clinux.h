// System calls and constants of Linux that Swift's Glibc module does not show, because they need
// _GNU_SOURCE or a header outside that module. Thin wrappers only: each returns what the call
// returns and leaves errno as the call does.

#ifndef CLINUX_H
#define CLINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Flags of open(2).
extern const int32_t clinux_O_DIRECT;
extern const int32_t clinux_O_TMPFILE;
extern const int32_t clinux_O_PATH;

// fallocate(2). Ranges are bytes.
int32_t clinux_allocate(int32_t fd, int64_t offset, int64_t length, bool keep_size);
int32_t clinux_punch_hole(int32_t fd, int64_t offset, int64_t length);
int32_t clinux_zero_range(int32_t fd, int64_t offset, int64_t length, bool keep_size);

// lseek(2) with SEEK_DATA and SEEK_HOLE; ENXIO past the last data or the end.
int64_t clinux_seek_data(int32_t fd, int64_t offset);
int64_t clinux_seek_hole(int32_t fd, int64_t offset);

// copy_file_range(2); bytes copied, 0 at the end of the source.
int64_t clinux_copy_range(
    int32_t from, int64_t from_offset, int32_t to, int64_t to_offset, size_t length);

// Whether nobody has the file of fd open but fd: no process, and not the kernel for somebody else.
// False too where the filesystem cannot tell. fd is open for writing, the file the caller's own.
bool clinux_is_open_once(int32_t fd);

// Has the filesystem take the directories that will be made in the directory fd for unrelated: the
// attribute T of chattr(1), which ext4 has and others refuse.
int32_t clinux_spread_directories(int32_t fd);

// renameat2(2) with AT_FDCWD.
int32_t clinux_rename_no_replace(const char *from, const char *to);
int32_t clinux_rename_exchange(const char *first, const char *second);

// Writes back all of the filesystem that holds fd: syncfs(2).
int32_t clinux_sync_filesystem(int32_t fd);

// The type of the filesystem that holds path (f_type of statfs(2)); 0 if it cannot be told.
int64_t clinux_filesystem_type(const char *path);

// getxattr(2), setxattr(2).
int64_t clinux_get_xattr(const char *path, const char *name, void *value, size_t size);
int32_t clinux_set_xattr(const char *path, const char *name, const void *value, size_t size);

// Hands a page-cache range back: posix_fadvise(2) with POSIX_FADV_DONTNEED.
int32_t clinux_forget_cached(int32_t fd, int64_t offset, int64_t length);

// pipe2(2) with O_CLOEXEC; ends[0] is read, ends[1] written.
int32_t clinux_pipe(int32_t ends[2]);

// posix_spawn_file_actions_addclosefrom_np(3); actions is a posix_spawn_file_actions_t. The error
// number itself is returned, 0 on success.
int32_t clinux_spawn_close_from(void *actions, int32_t first_fd);

// pidfd_open(2): a descriptor that polls as readable once the process has ended.
int32_t clinux_open_process(int32_t pid);

// The calling thread: its kernel id, and its name (at most 15 bytes are kept).
int32_t clinux_thread_id(void);
void clinux_name_thread(const char *name);

// prctl(2) PR_SET_PDEATHSIG: the signal this process gets when its parent thread dies.
int32_t clinux_set_parent_death_signal(int32_t signal);

// setrlimit(2) with RLIMIT_CORE, and prctl(2) with PR_SET_DUMPABLE: the process leaves no core dump,
// and nobody but the superuser reads its memory. Children have the limit, and not the other.
int32_t clinux_forbid_dumps(void);

// fcntl(2) with F_OFD_SETLK and F_OFD_GETLK: an exclusive lock of the whole file that belongs to
// the open file. Locking answers 0, or -1 with EAGAIN if another has it; asking answers 1 if
// another has it, 0 if nobody has, and -1.
int32_t clinux_lock_file(int32_t fd);
int32_t clinux_unlock_file(int32_t fd);
int32_t clinux_is_file_locked(int32_t fd);

// ioctl(2) BLKGETSIZE64: bytes of a block device.
int32_t clinux_block_device_bytes(int32_t fd, uint64_t *bytes);

// memfd_create(2) with MFD_CLOEXEC: an empty file in memory, or -1.
int32_t clinux_memory_file(const char *name);

// accept4(2) with SOCK_CLOEXEC.
int32_t clinux_accept(int32_t listener);

// The process at the other end of a unix socket (SO_PEERCRED).
int32_t clinux_peer_credentials(int32_t fd, int32_t *pid, uint32_t *uid);

// Gives the system what malloc(3) keeps of freed memory: malloc_trim(3).
void clinux_release_freed_memory(void);

// mallopt(3): blocks up to `largest` come from the heap, which gives back what lies free at its end
// above `kept`, and is one of at most `arenas`. To be called before any thread is started.
void clinux_keep_freed_memory(size_t largest, size_t kept, int32_t arenas);

#endif
