// SHA-256 of several messages at a time: Merkle trees hash thousands of equal
// length, and one alone leaves most of a processor idle.
#ifndef CSEALING_LANES_H
#define CSEALING_LANES_H

#include <stddef.h>
#include <stdint.h>

enum {
    lanes_width_max = 32,
    // Ways to hash several messages that one processor may have.
    lanes_kinds_max = 3,
    lanes_block_bytes = 64,
};

struct lanes {
    // Messages at a time, at most lanes_width_max.
    size_t width;
    // Takes in `blocks` blocks of each lane's message, from `messages[lane]` on.
    // `state` holds word after word, of each word lane after lane.
    void (*compress)(uint32_t *state, const uint8_t *const *messages, size_t blocks);
};

// The widest that this processor has, the widest first; NULL after the last. All
// give the same digests.
const struct lanes *lanes_available(size_t rank);

// SHA-256(tag | message) of `lanes->width` messages that lie one after another;
// `message_bytes` is a multiple of the block. The digests lie one after another
// too, and may replace messages.
void lanes_hash(const struct lanes *lanes, uint8_t tag, const uint8_t *messages,
                size_t message_bytes, uint8_t *digests);

#endif
