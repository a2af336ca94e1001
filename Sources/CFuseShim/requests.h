#ifndef CFUSE_SHIM_REQUESTS_H
#define CFUSE_SHIM_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "fuse_shim.h"

// Between the files of this module only.

// Copies the fixed part of the request that follows the header; false if it is not there.
bool fuse_shim_request_body(const struct fuse_buf *buffer, void *into, size_t size);

// Keeps what libfuse does not pass on of a request, for the thread that is about to process it.
void fuse_shim_note_request(struct fuse_buf *buffer);

// Reads one request: looks for a while, then sleeps until there is one.
ssize_t fuse_shim_read_request(int fd, void *bytes, size_t size, void *userdata);

#endif
