#include "CSealing.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"

// One direction of AES-256-GCM with the key it was last given.
struct direction {
    EVP_CIPHER_CTX *context;
    uint8_t key[CSEALING_KEY_BYTES];
    int has_key;
};

struct csealing_gcm {
    struct direction seal;
    struct direction open;
};

csealing_gcm *csealing_gcm_new(void) {
    if (!csealing_library()) return NULL;
    csealing_gcm *gcm = calloc(1, sizeof *gcm);
    if (!gcm) return NULL;
    gcm->seal.context = EVP_CIPHER_CTX_new();
    gcm->open.context = EVP_CIPHER_CTX_new();
    if (!gcm->seal.context || !gcm->open.context) {
        csealing_gcm_free(gcm);
        return NULL;
    }
    return gcm;
}

void csealing_gcm_free(csealing_gcm *gcm) {
    if (!gcm) return;
    EVP_CIPHER_CTX_free(gcm->seal.context);
    EVP_CIPHER_CTX_free(gcm->open.context);
    OPENSSL_cleanse(gcm, sizeof *gcm);
    free(gcm);
}

// Sets key (if it is another one) and nonce, and takes in the associated data.
static int begin(struct direction *direction, int encrypts, const uint8_t *key,
                 const uint8_t *nonce, const uint8_t *associated, size_t associated_count) {
    int same = direction->has_key && memcmp(direction->key, key, CSEALING_KEY_BYTES) == 0;
    direction->has_key = 0;
    // Naming the cipher again would have OpenSSL allocate its state anew.
    const EVP_CIPHER *cipher =
        EVP_CIPHER_CTX_get0_cipher(direction->context) ? NULL : csealing_library()->gcm;
    if (!EVP_CipherInit_ex2(direction->context, cipher, same ? NULL : key, nonce, encrypts, NULL))
        return 0;
    memcpy(direction->key, key, CSEALING_KEY_BYTES);
    direction->has_key = 1;
    int done = 0;
    return associated_count == 0 || EVP_CipherUpdate(direction->context, NULL, &done, associated,
                                                     (int)associated_count);
}

int csealing_gcm_seal(csealing_gcm *gcm, const uint8_t *key, const uint8_t *nonce,
                      const uint8_t *associated, size_t associated_count,
                      const uint8_t *plain, size_t count, uint8_t *sealed, uint8_t *tag) {
    if (count > INT_MAX || associated_count > INT_MAX) return 0;
    EVP_CIPHER_CTX *context = gcm->seal.context;
    int done = 0;
    return begin(&gcm->seal, 1, key, nonce, associated, associated_count) &&
           EVP_CipherUpdate(context, sealed, &done, plain, (int)count) &&
           EVP_CipherFinal_ex(context, sealed + done, &done) &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CSEALING_TAG_BYTES, tag) == 1;
}

int csealing_gcm_open(csealing_gcm *gcm, const uint8_t *key, const uint8_t *nonce,
                      const uint8_t *associated, size_t associated_count,
                      const uint8_t *sealed, size_t count, const uint8_t *tag, uint8_t *plain) {
    if (count > INT_MAX || associated_count > INT_MAX) return 0;
    EVP_CIPHER_CTX *context = gcm->open.context;
    uint8_t expected[CSEALING_TAG_BYTES];
    memcpy(expected, tag, sizeof expected);
    int done = 0;
    int matches = begin(&gcm->open, 0, key, nonce, associated, associated_count) &&
                  EVP_CipherUpdate(context, plain, &done, sealed, (int)count) &&
                  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CSEALING_TAG_BYTES,
                                      expected) == 1 &&
                  EVP_CipherFinal_ex(context, plain + done, &done) == 1;
    if (!matches) OPENSSL_cleanse(plain, count);
    return matches;
}

// EVP counts in int; a gibibyte at a time stays clear of it.
static const size_t ctr_chunk_bytes = (size_t)1 << 30;

int csealing_ctr_begin(struct csealing_ctr *ctr, const uint8_t *key, uint64_t offset) {
    uint8_t counter[16] = {0};
    uint64_t block = offset / 16;
    for (int index = 0; index < 8; index++) counter[15 - index] = (uint8_t)(block >> (8 * index));
    if (!ctr->context) ctr->context = EVP_CIPHER_CTX_new();
    if (!ctr->context) return 0;
    const EVP_CIPHER *cipher =
        EVP_CIPHER_CTX_get0_cipher(ctr->context) ? NULL : csealing_library()->ctr;
    if (!EVP_EncryptInit_ex2(ctr->context, cipher, key, counter, NULL)) return 0;
    uint8_t skipped[16] = {0};
    return csealing_ctr_next(ctr, skipped, skipped, offset % 16);
}

int csealing_ctr_next(struct csealing_ctr *ctr, const uint8_t *from, uint8_t *to, size_t count) {
    int done = 0;
    while (count > 0) {
        size_t chunk = count < ctr_chunk_bytes ? count : ctr_chunk_bytes;
        if (!EVP_EncryptUpdate(ctr->context, to, &done, from, (int)chunk)) return 0;
        from += chunk;
        to += chunk;
        count -= chunk;
    }
    return 1;
}

void csealing_ctr_clear(struct csealing_ctr *ctr) {
    EVP_CIPHER_CTX_free(ctr->context);
    ctr->context = NULL;
}

int csealing_ctr_apply(const uint8_t *key, uint64_t offset, uint8_t *bytes, size_t count) {
    struct csealing_thread *thread = csealing_thread();
    return thread && csealing_ctr_begin(&thread->ctr, key, offset) &&
           csealing_ctr_next(&thread->ctr, bytes, bytes, count);
}
