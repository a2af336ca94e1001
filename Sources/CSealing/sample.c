#include <string.h>

#include "CSealing.h"

int csealing_is_zero(const void *bytes, size_t count) {
    const uint8_t *first = bytes;
    return count == 0 || (first[0] == 0 && memcmp(first, first + 1, count - 1) == 0);
}

enum {
    run_count = 16,
    run_bytes = 64,
    sample_bytes = run_count * run_bytes,
    // The sum of the squares of the counts of 1024 even bytes is 1024 + 1024 * 1023
    // / 256 = 5116 on average, with a deviation of 90. Bytes that an order-0 coder
    // could shorten by a 16th have a sum of 6800 at least.
    noise_sum_max = 5600,
};

// Whether the counts, of 1024 bytes in two rows, are as even as those of noise.
static int is_even(uint16_t counts[2][256]) {
    uint32_t sum = 0;
    for (size_t value = 0; value < 256; value++) {
        uint32_t both = (uint32_t)counts[0][value] + counts[1][value];
        sum += both * both;
    }
    return sum <= noise_sum_max;
}

int csealing_looks_like_noise(const uint8_t *bytes, size_t count) {
    if (count < sample_bytes) return 0;
    // Bytes, and how each differs from the one before: a ramp has even bytes. Two
    // rows of each, because counting equal neighbours in one would wait for memory.
    uint16_t values[2][256] = {{0}};
    uint16_t steps[2][256] = {{0}};
    const size_t stride = (count - run_bytes) / (run_count - 1);
    for (size_t run = 0; run < run_count; run++) {
        const uint8_t *part = bytes + run * stride;
        uint8_t before = part[run_bytes - 1];
        for (size_t index = 0; index < run_bytes; index += 2) {
            const uint8_t first = part[index], second = part[index + 1];
            values[0][first]++;
            values[1][second]++;
            steps[0][(uint8_t)(first - before)]++;
            steps[1][(uint8_t)(second - first)]++;
            before = second;
        }
    }
    return is_even(values) && is_even(steps);
}
