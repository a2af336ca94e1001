// What OpenSSL looks up by name, looked up once, and the contexts of a thread.
#ifndef CSEALING_LIBRARY_H
#define CSEALING_LIBRARY_H

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "lanes.h"
#include "wide.h"

struct csealing_library {
    EVP_CIPHER *gcm;
    EVP_CIPHER *ctr;
    EVP_MD *sha256;
    EVP_KDF *hkdf;
    // What hashes several messages at a time, the widest first, NULL after the last.
    const struct lanes *lanes[lanes_kinds_max + 1];
    // Whether wide_ctr takes the place of `ctr`.
    int is_wide;
};

// Contexts a thread reuses; freed when the thread ends.
struct csealing_thread {
    EVP_CIPHER_CTX *ctr;
    EVP_MD_CTX *digest;
    // Of wide_ctr: the key, and where in its keystream the next bytes are.
    struct wide_key wide;
    uint64_t wide_offset;
};

// NULL if OpenSSL lacks an algorithm.
const struct csealing_library *csealing_library(void);

// NULL if memory is short.
struct csealing_thread *csealing_thread(void);

// Sets the thread's AES-256-CTR keystream to byte `offset` of `key`'s.
int csealing_ctr_begin(struct csealing_thread *thread, const uint8_t *key, uint64_t offset);

// XORs `bytes` with what comes next of it.
int csealing_ctr_next(struct csealing_thread *thread, uint8_t *bytes, size_t count);

#endif
