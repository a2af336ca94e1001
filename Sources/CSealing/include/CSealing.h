// The cryptography of MEFS over OpenSSL 3: what would cost an allocation or a
// fetch per call if Swift spoke EVP itself. Every function returns 1 on success
// and 0 on failure, and reads and writes the caller's buffers only.
#ifndef CSEALING_H
#define CSEALING_H

#include <stddef.h>
#include <stdint.h>

#define CSEALING_KEY_BYTES 32
#define CSEALING_NONCE_BYTES 12
#define CSEALING_TAG_BYTES 16
#define CSEALING_DIGEST_BYTES 32
#define CSEALING_SIGNATURE_BYTES 64
#define CSEALING_CHUNK_LEAVES 16
#define CSEALING_MASKED_PART_BYTES (128 << 10)

// AES-256-GCM. A context belongs to one thread at a time; it keeps the last key
// of each direction, so that the segments of a block share one key schedule.
typedef struct csealing_gcm csealing_gcm;

csealing_gcm *csealing_gcm_new(void);
void csealing_gcm_free(csealing_gcm *gcm);

// Encrypts `count` bytes; `sealed` may be `plain`.
int csealing_gcm_seal(csealing_gcm *gcm, const uint8_t *key, const uint8_t *nonce,
                      const uint8_t *associated, size_t associated_count,
                      const uint8_t *plain, size_t count, uint8_t *sealed, uint8_t *tag);

// Decrypts `count` bytes; `plain` may be `sealed`. If the tag does not match,
// `plain` is cleared.
int csealing_gcm_open(csealing_gcm *gcm, const uint8_t *key, const uint8_t *nonce,
                      const uint8_t *associated, size_t associated_count,
                      const uint8_t *sealed, size_t count, const uint8_t *tag, uint8_t *plain);

// XORs `bytes` with the AES-256-CTR keystream of `key` from byte `offset` on.
// The counter block is the big-endian number of the 16-byte block, from 0.
int csealing_ctr_apply(const uint8_t *key, uint64_t offset, uint8_t *bytes, size_t count);

int csealing_sha256(const void *bytes, size_t count, uint8_t *digest);

// SHA-256(tag | bytes).
int csealing_sha256_tagged(uint8_t tag, const void *bytes, size_t count, uint8_t *digest);

// Root of the Merkle tree over 1 KiB leaves: leaf = SHA-256(0x00 | bytes), node =
// SHA-256(0x01 | left | right), an odd last node moves up unchanged. No bytes are
// one empty leaf.
int csealing_merkle_root(const uint8_t *bytes, size_t count, uint8_t *root);

// csealing_merkle_root, and the roots of all chunks of 16 leaves, the last of which
// may be short, one after another in `chunks`; NULL if they are not wanted.
int csealing_merkle_chunks(const uint8_t *bytes, size_t count, uint8_t *chunks, uint8_t *root);

// Folds `count` digests of one level, at least one, into the first: their root.
int csealing_merkle_fold(uint8_t *level, size_t count);

// Appends to the `count` digests of one level those of all levels above, the root
// last. `levels` has room for twice `count` digests and 64 more.
int csealing_merkle_levels(uint8_t *levels, size_t count);

// The digests of all leaves of `bytes`.
int csealing_merkle_leaves(const uint8_t *bytes, size_t count, uint8_t *digests);

// The root of a tree of `leaf_count` leaves, of which the one at `index` is `leaf`
// and `path` the siblings up from it, lowest first. 0 also if the tree has not so
// many there.
int csealing_merkle_climb(const uint8_t *leaf, size_t count, size_t index, size_t leaf_count,
                          const uint8_t *path, size_t path_count, uint8_t *root);

// csealing_ctr_apply from offset 0 to other memory, a part after another, and the root
// of what that gives: both while the bytes are in the processor's cache. All parts but
// the last have a multiple of CSEALING_MASKED_PART_BYTES; `to` may be `from`.
typedef struct csealing_masking csealing_masking;

csealing_masking *csealing_masking_new(void);
void csealing_masking_free(csealing_masking *masking);
int csealing_masking_begin(csealing_masking *masking, const uint8_t *key);
int csealing_masking_add(csealing_masking *masking, const uint8_t *from, uint8_t *to,
                         size_t count);
int csealing_masking_root(csealing_masking *masking, uint8_t *root);

// The same for one part, where it is.
int csealing_mask_and_root(const uint8_t *key, uint8_t *bytes, size_t count, uint8_t *root);

// HKDF-SHA256 (RFC 5869), extract and expand. `count` is at most 255 * 32.
int csealing_hkdf(const uint8_t *key, size_t key_count, const uint8_t *salt, size_t salt_count,
                  const uint8_t *info, size_t info_count, uint8_t *derived, size_t count);

int csealing_random(uint8_t *bytes, size_t count);

// Ed25519 (RFC 8032); `seed` and `public_key` are 32 bytes, `signature` is 64.
int csealing_ed25519_public_key(const uint8_t *seed, uint8_t *public_key);
int csealing_ed25519_sign(const uint8_t *seed, const uint8_t *message, size_t count,
                          uint8_t *signature);
int csealing_ed25519_verify(const uint8_t *public_key, const uint8_t *message, size_t count,
                            const uint8_t *signature);

// A self-signed X.509 v3 certificate, valid 1970 to 9999, and its key as PKCS#8,
// both DER. `serial` is 16 bytes, the first one's top bit clear. On success
// `*certificate` and `*private_key` are to be freed by csealing_free.
int csealing_certificate(const uint8_t *seed, const char *common_name, const uint8_t *serial,
                         uint8_t **certificate, size_t *certificate_count,
                         uint8_t **private_key, size_t *private_key_count);

// Clears and frees what csealing_certificate made.
void csealing_free(uint8_t *bytes, size_t count);

// 1 if all bytes are zero.
int csealing_is_zero(const void *bytes, size_t count);

// 1 if a sample of the bytes is spread as evenly over the 256 values as noise is:
// what is compressed or encrypted already. A guess, for speed only. Fewer bytes
// than the sample has never look like noise.
int csealing_looks_like_noise(const uint8_t *bytes, size_t count);

#endif
