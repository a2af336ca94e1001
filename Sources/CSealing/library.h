// What OpenSSL looks up by name, looked up once, and the contexts of a thread.
#ifndef CSEALING_LIBRARY_H
#define CSEALING_LIBRARY_H

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "lanes.h"

struct csealing_library {
    EVP_CIPHER *gcm;
    EVP_CIPHER *ctr;
    EVP_MD *sha256;
    EVP_KDF *hkdf;
    // What hashes several messages at a time, the widest first, NULL after the last.
    const struct lanes *lanes[lanes_kinds_max + 1];
};

// A keystream of AES-256-CTR.
struct csealing_ctr {
    // NULL before the first use.
    EVP_CIPHER_CTX *context;
};

// Contexts a thread reuses; freed when the thread ends.
struct csealing_thread {
    struct csealing_ctr ctr;
    EVP_MD_CTX *digest;
};

// NULL if OpenSSL lacks an algorithm.
const struct csealing_library *csealing_library(void);

// NULL if memory is short.
struct csealing_thread *csealing_thread(void);

// Sets a keystream to byte `offset` of `key`'s; all zeros is a keystream to begin with.
int csealing_ctr_begin(struct csealing_ctr *ctr, const uint8_t *key, uint64_t offset);

// XORs what is at `from` with what comes next of it, to `to`, which may be `from`.
int csealing_ctr_next(struct csealing_ctr *ctr, const uint8_t *from, uint8_t *to, size_t count);

// Frees what it has.
void csealing_ctr_clear(struct csealing_ctr *ctr);

#endif
