// What Swift cannot say to libfuse itself: functions that newer versions of libfuse turn into
// macros, constants that need _GNU_SOURCE, and the few protocol fields that libfuse 3.14 does not
// pass on. Sources: <linux/fuse.h> (kernel ABI), `man 4 fuse`.

#ifndef FUSE_SHIM_H
#define FUSE_SHIM_H

// As in CFuse's shim.h.
#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>

// Modes of fallocate(2), flags of renameat2(2), setxattr(2) and whence values of lseek(2).
extern const int32_t fuse_shim_falloc_keep_size;
extern const int32_t fuse_shim_falloc_punch_hole;
extern const int32_t fuse_shim_falloc_zero_range;
extern const uint32_t fuse_shim_rename_noreplace;
extern const uint32_t fuse_shim_rename_exchange;
extern const uint32_t fuse_shim_rename_whiteout;
extern const int32_t fuse_shim_xattr_create;
extern const int32_t fuse_shim_xattr_replace;
extern const int32_t fuse_shim_seek_data;
extern const int32_t fuse_shim_seek_hole;
// O_DIRECT of open(2).
extern const int32_t fuse_shim_open_direct;

// fuse_session_new, which is a macro from libfuse 3.17 on.
struct fuse_session *fuse_shim_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *ops, void *userdata);

// Lets the session answer INIT with the flags that libfuse 3.14 does not know and the kernel
// offers: FUSE_HANDLE_KILLPRIV_V2, FUSE_SETXATTR_EXT and, if wanted, FUSE_PASSTHROUGH, which
// excludes FUSE_WRITEBACK_CACHE. Call after fuse_session_mount. 0 or -errno.
int fuse_shim_offer_flags(struct fuse_session *session, bool wants_passthrough);

// Whether the kernel reads and writes backing files by itself if told to; known after INIT.
bool fuse_shim_has_passthrough(void);

// Gives the kernel an open file to read and write by itself (FUSE_DEV_IOC_BACKING_OPEN); needs
// CAP_SYS_ADMIN. Its number, more than 0, or -errno.
int32_t fuse_shim_backing_open(struct fuse_session *session, int fd);

// Takes it back; openings that have it keep it.
void fuse_shim_backing_close(struct fuse_session *session, int32_t backing);

// As fuse_reply_open and fuse_reply_create, of a file that the kernel reads and writes by itself.
int fuse_shim_reply_open(fuse_req_t request, uint64_t handle, int32_t backing, bool is_direct);
int fuse_shim_reply_create(
    fuse_req_t request, const struct fuse_entry_param *entry, uint64_t handle, int32_t backing,
    bool is_direct);

// Whether the kernel took FUSE_HANDLE_KILLPRIV_V2; known after INIT.
bool fuse_shim_has_killpriv(void);

// Serves requests until the session ends; call it on several threads. One of them at a time reads.
// It answers what memory can answer by itself, since waking another costs more than most requests
// do, and lets another read only while it moves bytes or waits for a disk.
// 0 the session ended, else -errno.
int fuse_shim_serve(struct fuse_session *session);

// Whether the request the calling thread serves just now demands that set-user-id, set-group-id
// and file capabilities go (write, truncate and open with O_TRUNC by who lacks CAP_FSETID).
bool fuse_shim_kills_privileges(void);

// Whether the FUSE_CREATE that the calling thread serves just now came as FUSE_TMPFILE, which
// libfuse 3.14 does not know: a file without a name, and the name it carries means nothing.
bool fuse_shim_is_unnamed(void);

// Whether the access list that the calling thread is to set just now takes the set-group-id bit
// away, its caller being neither in the group nor privileged.
bool fuse_shim_clears_set_group(void);

// Keeps blocks of up to 32 MiB in malloc's arenas instead of mapping and unmapping, and so
// zeroing, them at every use.
void fuse_shim_keep_large_blocks(void);

#endif
