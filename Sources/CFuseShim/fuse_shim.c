#include "fuse_shim.h"
#include "requests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

// The part of struct fuse_init_in that every kernel sends, and the one with the second flag word.
#define FUSE_COMPAT_INIT_IN_SIZE 16
#define INIT_IN_SIZE_WITH_FLAGS2 20

// Of kernel 6.9, FUSE 7.40 (<linux/fuse.h>): a bit of flags2, of open_flags, the first word after
// flags2 in struct fuse_init_out, the last word of struct fuse_open_out, and two ioctls.
#define FLAGS2_PASSTHROUGH (1u << 5)
#define OPEN_PASSTHROUGH (1u << 7)
#define PASSTHROUGH_MINOR 40
struct backing_map {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
};
#define IOC_BACKING_OPEN _IOW(FUSE_DEV_IOC_MAGIC, 1, struct backing_map)
#define IOC_BACKING_CLOSE _IOW(FUSE_DEV_IOC_MAGIC, 2, uint32_t)

const int32_t fuse_shim_falloc_keep_size = FALLOC_FL_KEEP_SIZE;
const int32_t fuse_shim_falloc_punch_hole = FALLOC_FL_PUNCH_HOLE;
const int32_t fuse_shim_falloc_zero_range = FALLOC_FL_ZERO_RANGE;
const uint32_t fuse_shim_rename_noreplace = RENAME_NOREPLACE;
const uint32_t fuse_shim_rename_exchange = RENAME_EXCHANGE;
const uint32_t fuse_shim_rename_whiteout = RENAME_WHITEOUT;
const int32_t fuse_shim_xattr_create = XATTR_CREATE;
const int32_t fuse_shim_xattr_replace = XATTR_REPLACE;
const int32_t fuse_shim_seek_data = SEEK_DATA;
const int32_t fuse_shim_seek_hole = SEEK_HOLE;
const int32_t fuse_shim_open_direct = O_DIRECT;

// Set by the thread that reads INIT, before the reply; read by any thread later.
static _Atomic uint32_t offered_flags;
static _Atomic uint64_t init_unique;
static _Atomic uint32_t taken_flags;
static _Atomic bool wants_passthrough;
static _Atomic bool has_passthrough;

// What libfuse does not pass on of the request that the thread serves.
static _Thread_local bool kills_privileges;
static _Thread_local bool is_unnamed;
static _Thread_local bool clears_set_group;

struct fuse_session *fuse_shim_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *ops, void *userdata) {
    return fuse_session_new(args, ops, sizeof *ops, userdata);
}

// Without FUSE_HANDLE_KILLPRIV_V2 the kernel asks for the xattr security.capability before every
// single write(2), as it may not remember that there is none (SB_NOSEC stays off): 50,000 cached
// writes of 4 KiB a second in place of 960,000. Without FUSE_SETXATTR_EXT it does not tell when an
// access list takes the set-group-id bit away.
static const uint32_t wanted_flags = FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT;

static void patch_init_reply(struct iovec *iov, int count) {
    if (count < 2 || iov[0].iov_len != sizeof(struct fuse_out_header)) return;
    struct fuse_out_header header;
    memcpy(&header, iov[0].iov_base, sizeof header);
    uint64_t unique = atomic_load(&init_unique);
    if (unique == 0 || header.unique != unique) return;
    atomic_store(&init_unique, 0);
    if (header.error != 0 || iov[1].iov_len < sizeof(struct fuse_init_out)) return;
    uint32_t flags = atomic_load(&offered_flags) & wanted_flags;
    struct fuse_init_out reply;
    memcpy(&reply, iov[1].iov_base, sizeof reply);
    reply.flags |= flags;
    if (atomic_load(&has_passthrough)) {
        // One level: the backing filesystem must not be stacked itself.
        const uint32_t max_stack_depth = 1;
        reply.flags = (reply.flags | FUSE_INIT_EXT) & ~(uint32_t)FUSE_WRITEBACK_CACHE;
        reply.flags2 |= FLAGS2_PASSTHROUGH;
        reply.minor = PASSTHROUGH_MINOR;
        memcpy((char *)&reply + offsetof(struct fuse_init_out, flags2) + sizeof reply.flags2,
            &max_stack_depth, sizeof max_stack_depth);
    }
    memcpy(iov[1].iov_base, &reply, sizeof reply);
    atomic_store(&taken_flags, flags);
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata) {
    (void)userdata;
    if (atomic_load_explicit(&init_unique, memory_order_relaxed) != 0)
        patch_init_reply(iov, count);
    return writev(fd, iov, count);
}

int fuse_shim_offer_flags(struct fuse_session *session, bool passthrough) {
    atomic_store(&wants_passthrough, passthrough);
    int fd = fuse_session_fd(session);
    // Who reads looks again for a while before it sleeps.
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) return -errno;
    static const struct fuse_custom_io io = {.writev = write_reply, .read = fuse_shim_read_request};
    return fuse_session_custom_io(session, &io, fd);
}

bool fuse_shim_has_passthrough(void) { return atomic_load(&has_passthrough); }

int32_t fuse_shim_backing_open(struct fuse_session *session, int fd) {
    struct backing_map map = {.fd = fd};
    int id = ioctl(fuse_session_fd(session), IOC_BACKING_OPEN, &map);
    return id < 0 ? -errno : id;
}

void fuse_shim_backing_close(struct fuse_session *session, int32_t backing) {
    uint32_t id = (uint32_t)backing;
    ioctl(fuse_session_fd(session), IOC_BACKING_CLOSE, &id);
}

static struct fuse_open_out open_out(uint64_t handle, int32_t backing, bool is_direct) {
    struct fuse_open_out out = {.fh = handle, .open_flags = OPEN_PASSTHROUGH};
    if (is_direct) out.open_flags |= FOPEN_DIRECT_IO;
    memcpy((char *)&out + offsetof(struct fuse_open_out, open_flags) + sizeof out.open_flags,
        &backing, sizeof backing);
    return out;
}

int fuse_shim_reply_open(fuse_req_t request, uint64_t handle, int32_t backing, bool is_direct) {
    struct fuse_open_out out = open_out(handle, backing, is_direct);
    return fuse_reply_buf(request, (const char *)&out, sizeof out);
}

static void set_timeout(double seconds, uint64_t *whole, uint32_t *nanoseconds) {
    *whole = (uint64_t)seconds;
    *nanoseconds = (uint32_t)((seconds - (double)*whole) * 1e9);
}

static struct fuse_attr attributes(const struct stat *status) {
    return (struct fuse_attr){
        .ino = status->st_ino,
        .size = (uint64_t)status->st_size,
        .blocks = (uint64_t)status->st_blocks,
        .atime = (uint64_t)status->st_atim.tv_sec,
        .mtime = (uint64_t)status->st_mtim.tv_sec,
        .ctime = (uint64_t)status->st_ctim.tv_sec,
        .atimensec = (uint32_t)status->st_atim.tv_nsec,
        .mtimensec = (uint32_t)status->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)status->st_ctim.tv_nsec,
        .mode = status->st_mode,
        .nlink = (uint32_t)status->st_nlink,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .rdev = (uint32_t)status->st_rdev,
        .blksize = (uint32_t)status->st_blksize,
    };
}

int fuse_shim_reply_create(
    fuse_req_t request, const struct fuse_entry_param *entry, uint64_t handle, int32_t backing,
    bool is_direct) {
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {
        .entry = {
            .nodeid = entry->ino,
            .generation = entry->generation,
            .attr = attributes(&entry->attr),
        },
        .open = open_out(handle, backing, is_direct),
    };
    set_timeout(entry->entry_timeout, &out.entry.entry_valid, &out.entry.entry_valid_nsec);
    set_timeout(entry->attr_timeout, &out.entry.attr_valid, &out.entry.attr_valid_nsec);
    return fuse_reply_buf(request, (const char *)&out, sizeof out);
}

bool fuse_shim_has_killpriv(void) {
    return atomic_load(&taken_flags) & FUSE_HANDLE_KILLPRIV_V2;
}

bool fuse_shim_request_body(const struct fuse_buf *buffer, void *into, size_t size) {
    if (buffer->size < sizeof(struct fuse_in_header) + size) return false;
    memcpy(into, (const char *)buffer->mem + sizeof(struct fuse_in_header), size);
    return true;
}

static bool asks_to_kill_privileges(const struct fuse_buf *buffer, uint32_t opcode) {
    switch (opcode) {
    case FUSE_WRITE: {
        struct fuse_write_in in;
        return fuse_shim_request_body(buffer, &in, sizeof in) && in.write_flags & FUSE_WRITE_KILL_SUIDGID;
    }
    case FUSE_SETATTR: {
        struct fuse_setattr_in in;
        return fuse_shim_request_body(buffer, &in, sizeof in) && in.valid & FATTR_KILL_SUIDGID;
    }
    case FUSE_OPEN: {
        struct fuse_open_in in;
        return fuse_shim_request_body(buffer, &in, sizeof in) && in.open_flags & FUSE_OPEN_KILL_SUIDGID;
    }
    case FUSE_CREATE: {
        struct fuse_create_in in;
        return fuse_shim_request_body(buffer, &in, sizeof in) && in.open_flags & FUSE_OPEN_KILL_SUIDGID;
    }
    default:
        return false;
    }
}

// Makes of a FUSE_TMPFILE the FUSE_CREATE that it equals but for the meaning of the name.
static void turn_into_create(struct fuse_buf *buffer, struct fuse_in_header header) {
    header.opcode = FUSE_CREATE;
    memcpy(buffer->mem, &header, sizeof header);
    is_unnamed = true;
}

// Takes out of a FUSE_SETXATTR the two words that FUSE_SETXATTR_EXT has put in.
static void shorten_setxattr(struct fuse_buf *buffer, struct fuse_in_header header) {
    struct fuse_setxattr_in in;
    if (!fuse_shim_request_body(buffer, &in, sizeof in)) return;
    clears_set_group = in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
    const size_t excess = sizeof in - FUSE_COMPAT_SETXATTR_IN_SIZE;
    char *names = (char *)buffer->mem + sizeof header + sizeof in;
    memmove(names - excess, names, buffer->size - sizeof header - sizeof in);
    buffer->size -= excess;
    header.len = (uint32_t)buffer->size;
    memcpy(buffer->mem, &header, sizeof header);
}

void fuse_shim_note_request(struct fuse_buf *buffer) {
    kills_privileges = false;
    is_unnamed = false;
    clears_set_group = false;
    if (buffer->flags & FUSE_BUF_IS_FD || buffer->size < sizeof(struct fuse_in_header)) return;
    struct fuse_in_header header;
    memcpy(&header, buffer->mem, sizeof header);
    switch (header.opcode) {
    case FUSE_INIT: {
        struct fuse_init_in in;
        if (!fuse_shim_request_body(buffer, &in, FUSE_COMPAT_INIT_IN_SIZE)) return;
        atomic_store(&offered_flags, in.flags);
        in.flags2 = 0;
        if (in.flags & FUSE_INIT_EXT && in.minor >= PASSTHROUGH_MINOR)
            fuse_shim_request_body(buffer, &in, INIT_IN_SIZE_WITH_FLAGS2);
        atomic_store(&has_passthrough,
            in.flags2 & FLAGS2_PASSTHROUGH && atomic_load(&wants_passthrough));
        atomic_store(&init_unique, header.unique);
        return;
    }
    case FUSE_SETXATTR:
        if (atomic_load_explicit(&taken_flags, memory_order_relaxed) & FUSE_SETXATTR_EXT)
            shorten_setxattr(buffer, header);
        return;
    case FUSE_TMPFILE:
        kills_privileges = asks_to_kill_privileges(buffer, FUSE_CREATE);
        turn_into_create(buffer, header);
        return;
    default:
        kills_privileges = asks_to_kill_privileges(buffer, header.opcode);
    }
}

bool fuse_shim_kills_privileges(void) { return kills_privileges; }

bool fuse_shim_is_unnamed(void) { return is_unnamed; }

bool fuse_shim_clears_set_group(void) { return clears_set_group; }

void fuse_shim_keep_large_blocks(void) {
    // 32 MiB is the largest threshold glibc takes (DEFAULT_MMAP_THRESHOLD_MAX).
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
    // Else each of some forty threads may keep an arena of its own with megabytes in it.
    mallopt(M_ARENA_MAX, 4);
}
