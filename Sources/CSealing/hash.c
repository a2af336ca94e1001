#include "CSealing.h"

#include <stdlib.h>
#include <string.h>

#include "lanes.h"
#include "library.h"

enum {
    leaf_bytes = 1024,
    digest_bytes = CSEALING_DIGEST_BYTES,
    // Leaves hashed into one subtree before the next ones: they stay in the second-level
    // cache and their digests in the first-level one, no memory is asked for, and few nodes
    // are left over for narrow lanes.
    subtree_leaves = CSEALING_MASKED_PART_BYTES / leaf_bytes,
    chunk_leaves = CSEALING_CHUNK_LEAVES,
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

int csealing_sha256_tagged(uint8_t tag, const void *bytes, size_t count, uint8_t *digest) {
    struct csealing_thread *thread = csealing_thread();
    return thread && hash(thread->digest, &tag, bytes, count, digest);
}

enum { leaf_tag = 0, node_tag = 1 };

// SHA-256(tag | message) of each of `count` messages that lie one after another.
// The digests lie one after another too, and may replace messages.
static int hash_each(EVP_MD_CTX *context, uint8_t tag, const uint8_t *messages,
                     size_t message_bytes, size_t count, uint8_t *digests) {
    const struct lanes *lanes;
    for (size_t rank = 0; (lanes = csealing_library()->lanes[rank]); rank++) {
        for (; count >= lanes->width; count -= lanes->width) {
            lanes_hash(lanes, tag, messages, message_bytes, digests);
            messages += lanes->width * message_bytes;
            digests += lanes->width * digest_bytes;
        }
    }
    for (; count > 0; count--) {
        if (!hash(context, &tag, messages, message_bytes, digests)) return 0;
        messages += message_bytes;
        digests += digest_bytes;
    }
    return 1;
}

// Makes the `count` digests in `level` those of the level above; an odd last one
// moves up.
static int fold_once(EVP_MD_CTX *context, uint8_t *level, size_t count) {
    if (!hash_each(context, node_tag, level, 2 * digest_bytes, count / 2, level)) return 0;
    if (count % 2)
        memmove(level + digest_bytes * (count / 2), level + digest_bytes * (count - 1),
                digest_bytes);
    return 1;
}

// Folds `count` digests, one after another in `level`, into the first.
static int fold(EVP_MD_CTX *context, uint8_t *level, size_t count) {
    for (; count > 1; count = (count + 1) / 2) {
        if (!fold_once(context, level, count)) return 0;
    }
    return 1;
}

int csealing_merkle_fold(uint8_t *level, size_t count) {
    struct csealing_thread *thread = csealing_thread();
    return thread && fold(thread->digest, level, count);
}

int csealing_merkle_levels(uint8_t *levels, size_t count) {
    struct csealing_thread *thread = csealing_thread();
    if (!thread) return 0;
    for (; count > 1; count = (count + 1) / 2) {
        uint8_t *above = levels + digest_bytes * count;
        if (!hash_each(thread->digest, node_tag, levels, 2 * digest_bytes, count / 2, above))
            return 0;
        if (count % 2)
            memcpy(above + digest_bytes * (count / 2), above - digest_bytes, digest_bytes);
        levels = above;
    }
    return 1;
}

// The digests of all leaves, of which the last may be short; returns their count,
// 0 on failure.
static size_t hash_leaves(EVP_MD_CTX *context, const uint8_t *bytes, size_t count,
                          uint8_t *digests) {
    const uint8_t tag = leaf_tag;
    const size_t whole = count / leaf_bytes, rest = count % leaf_bytes;
    if (!hash_each(context, leaf_tag, bytes, leaf_bytes, whole, digests)) return 0;
    if (rest == 0 && whole > 0) return whole;
    if (!hash(context, &tag, bytes + leaf_bytes * whole, rest, digests + digest_bytes * whole))
        return 0;
    return whole + 1;
}

int csealing_merkle_leaves(const uint8_t *bytes, size_t count, uint8_t *digests) {
    struct csealing_thread *thread = csealing_thread();
    return thread && hash_leaves(thread->digest, bytes, count, digests) > 0;
}

int csealing_merkle_climb(const uint8_t *leaf, size_t count, size_t index, size_t leaf_count,
                          const uint8_t *path, size_t path_count, uint8_t *root) {
    struct csealing_thread *thread = csealing_thread();
    const uint8_t tag = leaf_tag, above_tag = node_tag;
    if (!thread || !hash(thread->digest, &tag, leaf, count, root)) return 0;
    uint8_t pair[2 * digest_bytes];
    for (; leaf_count > 1; index /= 2, leaf_count = (leaf_count + 1) / 2) {
        // An odd last node has no sibling.
        if (index % 2 == 0 && index + 1 == leaf_count) continue;
        if (path_count == 0) return 0;
        memcpy(pair + (index % 2 ? digest_bytes : 0), root, digest_bytes);
        memcpy(pair + (index % 2 ? 0 : digest_bytes), path, digest_bytes);
        path += digest_bytes;
        path_count--;
        if (!hash(thread->digest, &above_tag, pair, sizeof pair, root)) return 0;
    }
    return path_count == 0;
}

// Root of at most `subtree_leaves` leaves, and those of its chunks if `chunks` is
// not NULL.
static int subtree(EVP_MD_CTX *context, const uint8_t *bytes, size_t count, uint8_t *chunks,
                   uint8_t *root) {
    uint8_t level[subtree_leaves * digest_bytes];
    size_t leaves = hash_leaves(context, bytes, count, level);
    if (leaves == 0) return 0;
    for (size_t span = 1; span < chunk_leaves; span *= 2, leaves = (leaves + 1) / 2) {
        if (!fold_once(context, level, leaves)) return 0;
    }
    if (chunks) memcpy(chunks, level, digest_bytes * leaves);
    if (!fold(context, level, leaves)) return 0;
    memcpy(root, level, digest_bytes);
    return 1;
}

static const size_t subtree_bytes = (size_t)subtree_leaves * leaf_bytes;

// Subtrees hashed so far: a binary counter, one pending root for every bit of
// their number.
struct tree {
    uint8_t pending[pending_max][digest_bytes];
    size_t height;
    size_t subtrees;
};

// Takes in the next subtree; only the last may be smaller than `subtree_bytes`.
static int tree_add(struct tree *tree, EVP_MD_CTX *context, const uint8_t *bytes, size_t count,
                    uint8_t *chunks) {
    // Pairs of equal size, once it is known that the newest of them is not the last.
    for (size_t bits = tree->subtrees; bits > 0 && bits % 2 == 0; bits /= 2, tree->height--) {
        if (!fold(context, tree->pending[tree->height - 2], 2)) return 0;
    }
    tree->subtrees++;
    return subtree(context, bytes, count, chunks, tree->pending[tree->height++]);
}

static int tree_root(struct tree *tree, EVP_MD_CTX *context, uint8_t *root) {
    for (; tree->height > 1; tree->height--) {
        if (!fold(context, tree->pending[tree->height - 2], 2)) return 0;
    }
    memcpy(root, tree->pending[0], digest_bytes);
    return 1;
}

int csealing_merkle_root(const uint8_t *bytes, size_t count, uint8_t *root) {
    return csealing_merkle_chunks(bytes, count, NULL, root);
}

int csealing_merkle_chunks(const uint8_t *bytes, size_t count, uint8_t *chunks, uint8_t *root) {
    struct csealing_thread *thread = csealing_thread();
    if (!thread) return 0;
    struct tree tree = {.height = 0};
    do {
        size_t part = count < subtree_bytes ? count : subtree_bytes;
        if (!tree_add(&tree, thread->digest, bytes, part, chunks)) return 0;
        if (chunks) chunks += digest_bytes * (subtree_leaves / chunk_leaves);
        bytes += part;
        count -= part;
    } while (count > 0);
    return tree_root(&tree, thread->digest, root);
}

struct csealing_masking {
    struct csealing_ctr ctr;
    struct tree tree;
};

csealing_masking *csealing_masking_new(void) {
    csealing_masking *masking = calloc(1, sizeof *masking);
    return csealing_library() ? masking : NULL;
}

void csealing_masking_free(csealing_masking *masking) {
    if (!masking) return;
    csealing_ctr_clear(&masking->ctr);
    free(masking);
}

int csealing_masking_begin(csealing_masking *masking, const uint8_t *key) {
    masking->tree = (struct tree){.height = 0};
    return csealing_ctr_begin(&masking->ctr, key, 0);
}

int csealing_masking_add(csealing_masking *masking, const uint8_t *from, uint8_t *to,
                         size_t count) {
    struct csealing_thread *thread = csealing_thread();
    if (!thread) return 0;
    do {
        size_t part = count < subtree_bytes ? count : subtree_bytes;
        if (!csealing_ctr_next(&masking->ctr, from, to, part)) return 0;
        if (!tree_add(&masking->tree, thread->digest, to, part, NULL)) return 0;
        from += part;
        to += part;
        count -= part;
    } while (count > 0);
    return 1;
}

int csealing_masking_root(csealing_masking *masking, uint8_t *root) {
    struct csealing_thread *thread = csealing_thread();
    return thread && masking->tree.height > 0 && tree_root(&masking->tree, thread->digest, root);
}

int csealing_mask_and_root(const uint8_t *key, uint8_t *bytes, size_t count, uint8_t *root) {
    csealing_masking *masking = csealing_masking_new();
    int is_done = masking && csealing_masking_begin(masking, key) &&
                  csealing_masking_add(masking, bytes, bytes, count) &&
                  csealing_masking_root(masking, root);
    csealing_masking_free(masking);
    return is_done;
}
