#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuse_shim.h"
#include "requests.h"

// One thread at a time reads requests, the reader. A short request it answers itself and reads on:
// to hand each to another thread would cost more than to answer it. What may take long it processes
// after it has let another thread become the reader. Of what is nearly always short it stays the
// reader, and is relieved of it by a deputy if it was not done after a millisecond.

static int64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

// MARK: Looking before sleeping

// To wake a thread costs tens of microseconds where the processor it goes to has been halted, more
// than most requests take. So the reader looks for the next request for a while before it sleeps,
// as long as they come that fast: 50 microseconds, about what going to sleep and being woken costs.
static const int64_t looking_time = 50 * 1000;

// Of the last requests, about how many came within that time. Only the reader has it in hand.
static _Atomic int fast_requests;
enum { fast_requests_max = 16, fast_requests_to_look = 4, fast_requests_lost = 2 };

static void note_gap(int64_t gap) {
    int fast = atomic_load_explicit(&fast_requests, memory_order_relaxed);
    fast = gap <= looking_time ? fast + 1 : fast - fast_requests_lost;
    if (fast < 0) fast = 0;
    if (fast > fast_requests_max) fast = fast_requests_max;
    atomic_store_explicit(&fast_requests, fast, memory_order_relaxed);
}

static void rest(void) {
#if defined(__x86_64__)
    for (int turn = 0; turn < 16; turn++) __builtin_ia32_pause();
#elif defined(__aarch64__)
    for (int turn = 0; turn < 16; turn++) __asm__ volatile("yield");
#endif
    // Whoever else wants this processor goes first.
    sched_yield();
}

static bool has_several_processors(void) {
    static _Atomic long count;
    if (atomic_load_explicit(&count, memory_order_relaxed) == 0)
        atomic_store_explicit(&count, sysconf(_SC_NPROCESSORS_ONLN), memory_order_relaxed);
    return atomic_load_explicit(&count, memory_order_relaxed) > 1;
}

ssize_t fuse_shim_read_request(int fd, void *bytes, size_t size, void *userdata) {
    (void)userdata;
    ssize_t got = read(fd, bytes, size);
    if (got >= 0 || errno != EAGAIN) return got;
    const int64_t start = nanoseconds();
    const bool looks = has_several_processors()
        && atomic_load_explicit(&fast_requests, memory_order_relaxed) >= fast_requests_to_look;
    bool sleeps = !looks;
    for (;;) {
        if (sleeps) {
            struct pollfd entry = {.fd = fd, .events = POLLIN};
            poll(&entry, 1, -1);
        } else {
            rest();
        }
        got = read(fd, bytes, size);
        const int error = errno;
        if (got < 0 && error == EAGAIN) {
            sleeps = sleeps || nanoseconds() - start > looking_time;
            continue;
        }
        note_gap(nanoseconds() - start);
        errno = error;
        return got;
    }
}

// MARK: Who reads

static pthread_mutex_t role = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t role_changed = PTHREAD_COND_INITIALIZER;
// Guarded by `role`.
static bool has_reader;
static bool has_deputy;

// When the reader began a request that is nearly always short; 0 if it does not process one, and
// if a deputy has taken its place.
static _Atomic int64_t began;
// When it last did.
static _Atomic int64_t last_began;
// Whether the deputy sleeps until it is told that such a request has begun.
static _Atomic bool is_deputy_asleep;

static const int64_t patience = 1000 * 1000;
// For so long after the last such request the deputy looks every millisecond.
static const int64_t watch_time = 20 * 1000 * 1000;

static void wait_for_patience(void) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += patience;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec += 1;
    }
    pthread_cond_timedwait(&role_changed, &role, &end);
}

// Takes the reader's place if it has been busy for too long; the caller holds `role`.
static bool relieve_reader(void) {
    int64_t since = atomic_load(&began);
    return since != 0 && nanoseconds() - since >= patience
        && atomic_compare_exchange_strong(&began, &since, 0);
}

// Waits until the calling thread is the reader, or the session has ended.
static void become_reader(struct fuse_session *session) {
    pthread_mutex_lock(&role);
    bool is_deputy = false;
    while (has_reader && !fuse_session_exited(session)) {
        if (!is_deputy && has_deputy) {
            pthread_cond_wait(&role_changed, &role);
            continue;
        }
        is_deputy = has_deputy = true;
        if (relieve_reader()) break;
        if (nanoseconds() - atomic_load(&last_began) < watch_time) {
            wait_for_patience();
            continue;
        }
        atomic_store(&is_deputy_asleep, true);
        if (atomic_load(&began) == 0) pthread_cond_wait(&role_changed, &role);
        atomic_store(&is_deputy_asleep, false);
    }
    has_reader = true;
    if (is_deputy) {
        has_deputy = false;
        // Somebody else is to be the deputy.
        pthread_cond_broadcast(&role_changed);
    }
    pthread_mutex_unlock(&role);
}

static void stop_reading(void) {
    pthread_mutex_lock(&role);
    has_reader = false;
    pthread_cond_broadcast(&role_changed);
    pthread_mutex_unlock(&role);
}

static void process_watched(struct fuse_session *session, const struct fuse_buf *buffer) {
    const int64_t now = nanoseconds();
    atomic_store(&last_began, now);
    atomic_store(&began, now);
    if (atomic_load(&is_deputy_asleep)) {
        pthread_mutex_lock(&role);
        pthread_cond_broadcast(&role_changed);
        pthread_mutex_unlock(&role);
    }
    fuse_session_process_buf(session, buffer);
    if (atomic_exchange(&began, 0) == 0) become_reader(session);
}

// MARK: Requests

enum duration {
    // Answered from memory, or handed on to a thread that waits.
    always_short,
    nearly_always_short,
    perhaps_long,
};

// The most bytes that are written to the page cache of a disk in a few microseconds.
enum { short_write_max = 64 << 10 };

static enum duration duration_of(const struct fuse_buf *buffer) {
    struct fuse_in_header header;
    if (buffer->flags & FUSE_BUF_IS_FD || buffer->size < sizeof header) return perhaps_long;
    memcpy(&header, buffer->mem, sizeof header);
    switch (header.opcode) {
    case FUSE_READ:
        return perhaps_long;
    case FUSE_WRITE:
        return buffer->size > short_write_max ? perhaps_long : nearly_always_short;
    // Those that make, lengthen, cut, copy or look through files of the cache.
    case FUSE_CREATE:
    case FUSE_TMPFILE:
    case FUSE_OPEN:
    case FUSE_RELEASE:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
    case FUSE_LSEEK:
    case FUSE_STATFS:
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
        return nearly_always_short;
    case FUSE_SETATTR: {
        struct fuse_setattr_in in;
        const bool is_short =
            fuse_shim_request_body(buffer, &in, sizeof in) && !(in.valid & FATTR_SIZE);
        return is_short ? always_short : nearly_always_short;
    }
    default:
        return always_short;
    }
}

int fuse_shim_serve(struct fuse_session *session) {
    struct fuse_buf buffer = {0};
    int received = 0;
    become_reader(session);
    while (!fuse_session_exited(session)) {
        received = fuse_session_receive_buf(session, &buffer);
        if (received == -EINTR || received == -EAGAIN) continue;
        if (received <= 0) break;
        // Processing may change the buffer.
        const enum duration duration = duration_of(&buffer);
        fuse_shim_note_request(&buffer);
        switch (duration) {
        case always_short:
            fuse_session_process_buf(session, &buffer);
            break;
        case nearly_always_short:
            process_watched(session, &buffer);
            break;
        case perhaps_long:
            stop_reading();
            fuse_session_process_buf(session, &buffer);
            become_reader(session);
            break;
        }
    }
    fuse_session_exit(session);
    stop_reading();
    free(buffer.mem);
    return received < 0 ? received : 0;
}
