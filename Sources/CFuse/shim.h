// Neither _FILE_OFFSET_BITS nor _GNU_SOURCE may be set here: both clash with
// the Glibc module's view of `flock` and `statvfs`. off_t is 64 bits on LP64.
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
