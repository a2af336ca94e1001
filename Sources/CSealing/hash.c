#include "CSealing.h"

#include <string.h>

#include "library.h"

enum {
    leaf_bytes = 1024,
    digest_bytes = CSEALING_DIGEST_BYTES,
    // Leaves hashed into one subtree before the next ones: their digests stay in
    // the first-level cache, and no memory is asked for.
    subtree_leaves = 64,
    // Subtrees pending, one per bit of their count; a size_t of bytes needs fewer.
    pending_max = 64,
};

static int hash(EVP_MD_CTX *context, const uint8_t *tag, const void *bytes, size_t count,
                uint8_t *digest) {
    return EVP_DigestInit_ex2(context, csealing_library()->sha256, NULL) &&
           (!tag || EVP_DigestUpdate(context, tag, 1)) && EVP_DigestUpdate(context, bytes, count) &&
           EVP_DigestFinal_ex(context, digest, NULL);
}

int csealing_sha256(const void *bytes, size_t count, uint8_t *digest) {
    struct csealing_thread *thread = csealing_thread();
    return thread && hash(thread->digest, NULL, bytes, count, digest);
}

static const uint8_t leaf_tag = 0;
static const uint8_t node_tag = 1;

// Folds `count` digests, one after another in `level`, into the first.
static int fold(EVP_MD_CTX *context, uint8_t *level, size_t count) {
    while (count > 1) {
        for (size_t pair = 0; pair < count / 2; pair++) {
            if (!hash(context, &node_tag, level + 2 * digest_bytes * pair, 2 * digest_bytes,
                      level + digest_bytes * pair))
                return 0;
        }
        if (count % 2)
            memmove(level + digest_bytes * (count / 2), level + digest_bytes * (count - 1),
                    digest_bytes);
        count = (count + 1) / 2;
    }
    return 1;
}

// Root of at most `subtree_leaves` leaves.
static int subtree(EVP_MD_CTX *context, const uint8_t *bytes, size_t count, uint8_t *root) {
    uint8_t level[subtree_leaves * digest_bytes];
    size_t leaves = 0;
    do {
        size_t part = count < leaf_bytes ? count : leaf_bytes;
        if (!hash(context, &leaf_tag, bytes, part, level + digest_bytes * leaves)) return 0;
        bytes += part;
        count -= part;
        leaves++;
    } while (count > 0);
    if (!fold(context, level, leaves)) return 0;
    memcpy(root, level, digest_bytes);
    return 1;
}

int csealing_merkle_root(const uint8_t *bytes, size_t count, uint8_t *root) {
    struct csealing_thread *thread = csealing_thread();
    if (!thread) return 0;
    const size_t subtree_bytes = (size_t)subtree_leaves * leaf_bytes;
    // A binary counter: after s subtrees, one pending root for every bit of s.
    uint8_t pending[pending_max][digest_bytes];
    size_t height = 0;
    size_t done = 0;
    do {
        size_t part = count < subtree_bytes ? count : subtree_bytes;
        if (!subtree(thread->digest, bytes, part, pending[height++])) return 0;
        bytes += part;
        count -= part;
        done++;
        for (size_t bits = done; count > 0 && bits % 2 == 0; bits /= 2, height--) {
            if (!hash(thread->digest, &node_tag, pending[height - 2], 2 * digest_bytes,
                      pending[height - 2]))
                return 0;
        }
    } while (count > 0);
    for (; height > 1; height--) {
        if (!hash(thread->digest, &node_tag, pending[height - 2], 2 * digest_bytes,
                  pending[height - 2]))
            return 0;
    }
    memcpy(root, pending[0], digest_bytes);
    return 1;
}
