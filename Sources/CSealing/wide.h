// AES-256 in counter mode and GCM, sixteen blocks at a time, on processors that have
// the instructions: several times as fast as libcrypto 3.0, which knows the narrow
// ones.
#ifndef CSEALING_WIDE_H
#define CSEALING_WIDE_H

#include <stddef.h>
#include <stdint.h>

enum { wide_rounds = 14 };

// Round keys of AES-256.
struct wide_key {
    _Alignas(16) uint8_t rounds[wide_rounds + 1][16];
};

// 1 if this processor can do what follows.
int wide_available(void);

void wide_expand(const uint8_t *key, struct wide_key *expanded);

// XORs what is at `from` with the keystream from byte `offset` on, to `to`, which may
// be `from`. The counter block is the big-endian number of the 16-byte block, from 0.
void wide_ctr(const struct wide_key *key, uint64_t offset, const uint8_t *from, uint8_t *to,
              size_t count);

enum { wide_gcm_powers = 16 };

// A key of AES-256-GCM.
struct wide_gcm {
    struct wide_key key;
    // Powers of the hash key, the 16th first; zeros behind the first power, so that
    // four can be loaded wherever one is.
    _Alignas(64) uint8_t powers[wide_gcm_powers + 3][16];
};

void wide_gcm_expand(const uint8_t *key, struct wide_gcm *gcm);

// Encrypts or decrypts `count` bytes, fewer than 2^36, and computes the tag. `to` may
// be `from`. The nonce is 12 bytes; the tag is 16, and not compared with anything.
void wide_gcm_crypt(const struct wide_gcm *gcm, int encrypts, const uint8_t *nonce,
                    const uint8_t *associated, size_t associated_count, const uint8_t *from,
                    size_t count, uint8_t *to, uint8_t *tag);

#endif
