#include "lanes.h"

#include <string.h>

static const uint32_t initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

void lanes_hash(const struct lanes *lanes, uint8_t tag, const uint8_t *messages,
                size_t message_bytes, uint8_t *digests) {
    _Alignas(64) uint32_t state[8 * lanes_width_max];
    uint8_t edges[lanes_width_max][lanes_block_bytes];
    const uint8_t *edge[lanes_width_max];
    const uint8_t *middle[lanes_width_max];
    const size_t width = lanes->width;
    for (size_t lane = 0; lane < width; lane++) {
        const uint8_t *message = messages + lane * message_bytes;
        for (size_t word = 0; word < 8; word++) state[word * width + lane] = initial_state[word];
        // The tag shifts the message by one byte: 63 bytes of it in the first
        // block, the last byte and the padding in the last.
        edges[lane][0] = tag;
        memcpy(edges[lane] + 1, message, lanes_block_bytes - 1);
        edge[lane] = edges[lane];
        middle[lane] = message + lanes_block_bytes - 1;
    }
    lanes->compress(state, edge, 1);
    lanes->compress(state, middle, message_bytes / lanes_block_bytes - 1);
    // The last block is the same in all lanes but for its first byte.
    const uint64_t bits = 8 * (1 + (uint64_t)message_bytes);
    uint8_t closing[lanes_block_bytes] = {0, 0x80};
    for (int byte = 0; byte < 8; byte++)
        closing[lanes_block_bytes - 1 - byte] = (uint8_t)(bits >> (8 * byte));
    for (size_t lane = 0; lane < width; lane++) {
        memcpy(edges[lane], closing, lanes_block_bytes);
        edges[lane][0] = messages[(lane + 1) * message_bytes - 1];
    }
    lanes->compress(state, edge, 1);
    for (size_t lane = 0; lane < width; lane++) {
        for (size_t word = 0; word < 8; word++) {
            uint32_t value = __builtin_bswap32(state[word * width + lane]);
            memcpy(digests + 32 * lane + 4 * word, &value, sizeof value);
        }
    }
}

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

static const _Alignas(64) uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

// ---- Two lanes of SHA-NI: its rounds have a latency of four cycles and another
// message's fit between them.

#define SHA_NI __attribute__((target("sha,sse4.1,ssse3")))

struct pair {
    __m128i abef;
    __m128i cdgh;
};

SHA_NI static inline struct pair load_pair(const uint32_t *state, size_t lane) {
#define WORD(w) (int)state[2 * (w) + lane]
    struct pair pair = {_mm_set_epi32(WORD(0), WORD(1), WORD(4), WORD(5)),
                        _mm_set_epi32(WORD(2), WORD(3), WORD(6), WORD(7))};
#undef WORD
    return pair;
}

SHA_NI static inline void store_pair(struct pair pair, uint32_t *state, size_t lane) {
    uint32_t abef[4], cdgh[4];
    _mm_storeu_si128((__m128i *)abef, pair.abef);
    _mm_storeu_si128((__m128i *)cdgh, pair.cdgh);
    const uint32_t words[8] = {abef[3], abef[2], cdgh[3], cdgh[2],
                               abef[1], abef[0], cdgh[1], cdgh[0]};
    for (size_t word = 0; word < 8; word++) state[2 * word + lane] = words[word];
}

SHA_NI static inline struct pair four_rounds(struct pair pair, __m128i words, size_t round) {
    __m128i sum = _mm_add_epi32(words, _mm_load_si128((const __m128i *)(constants + round)));
    pair.cdgh = _mm_sha256rnds2_epu32(pair.cdgh, pair.abef, sum);
    pair.abef = _mm_sha256rnds2_epu32(pair.abef, pair.cdgh, _mm_shuffle_epi32(sum, 0x0e));
    return pair;
}

// The four words of the schedule after the 16 in `words`, the oldest in `round`.
SHA_NI static inline __m128i next_words(const __m128i *words, size_t round) {
    __m128i w0 = words[round % 4], w1 = words[(round + 1) % 4];
    __m128i w2 = words[(round + 2) % 4], w3 = words[(round + 3) % 4];
    __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    return _mm_sha256msg2_epu32(sum, w3);
}

SHA_NI static void compress_two(uint32_t *state, const uint8_t *const *messages, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    struct pair first = load_pair(state, 0), second = load_pair(state, 1);
    for (size_t block = 0; block < blocks; block++) {
        struct pair first_before = first, second_before = second;
        __m128i a[4], b[4];
        for (size_t part = 0; part < 4; part++) {
            const size_t offset = lanes_block_bytes * block + 16 * part;
            a[part] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(messages[0] + offset)), swap);
            b[part] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(messages[1] + offset)), swap);
        }
#pragma clang loop unroll(full)
        for (size_t round = 0; round < 16; round++) {
            if (round >= 4) {
                a[round % 4] = next_words(a, round);
                b[round % 4] = next_words(b, round);
            }
            first = four_rounds(first, a[round % 4], 4 * round);
            second = four_rounds(second, b[round % 4], 4 * round);
        }
        first.abef = _mm_add_epi32(first.abef, first_before.abef);
        first.cdgh = _mm_add_epi32(first.cdgh, first_before.cdgh);
        second.abef = _mm_add_epi32(second.abef, second_before.abef);
        second.cdgh = _mm_add_epi32(second.cdgh, second_before.cdgh);
    }
    store_pair(first, state, 0);
    store_pair(second, state, 1);
}

// ---- Sixteen lanes of AVX-512: no SHA instructions, but rotations and any
// function of three operands in one each.

#define AVX512 __attribute__((target("avx512f,avx512bw")))

// Loads one block of each lane and turns it: words[w] holds word w of all lanes.
AVX512 static inline void load_block(const uint8_t *const *messages, size_t offset,
                                     size_t ahead, __m512i *words) {
    const __m512i swap = _mm512_broadcast_i32x4(
        _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    __m512i rows[16], pairs[16];
    for (size_t lane = 0; lane < 16; lane++) {
        rows[lane] = _mm512_shuffle_epi8(_mm512_loadu_si512(messages[lane] + offset), swap);
        // So many short runs are beyond the processor's own foresight. The next messages mostly
        // follow these; nothing happens if there are none.
        _mm_prefetch(messages[lane] + offset + ahead, _MM_HINT_T0);
    }
    // Lanes 4g to 4g+3, turned within each quarter.
    for (size_t group = 0; group < 16; group += 4) {
        __m512i low0 = _mm512_unpacklo_epi32(rows[group], rows[group + 1]);
        __m512i high0 = _mm512_unpackhi_epi32(rows[group], rows[group + 1]);
        __m512i low1 = _mm512_unpacklo_epi32(rows[group + 2], rows[group + 3]);
        __m512i high1 = _mm512_unpackhi_epi32(rows[group + 2], rows[group + 3]);
        pairs[group] = _mm512_unpacklo_epi64(low0, low1);
        pairs[group + 1] = _mm512_unpackhi_epi64(low0, low1);
        pairs[group + 2] = _mm512_unpacklo_epi64(high0, high1);
        pairs[group + 3] = _mm512_unpackhi_epi64(high0, high1);
    }
    // Then the quarters among the groups.
    for (size_t word = 0; word < 4; word++) {
        __m512i a = _mm512_shuffle_i32x4(pairs[word], pairs[4 + word], 0x88);
        __m512i b = _mm512_shuffle_i32x4(pairs[word], pairs[4 + word], 0xdd);
        __m512i c = _mm512_shuffle_i32x4(pairs[8 + word], pairs[12 + word], 0x88);
        __m512i d = _mm512_shuffle_i32x4(pairs[8 + word], pairs[12 + word], 0xdd);
        words[word] = _mm512_shuffle_i32x4(a, c, 0x88);
        words[4 + word] = _mm512_shuffle_i32x4(b, d, 0x88);
        words[8 + word] = _mm512_shuffle_i32x4(a, c, 0xdd);
        words[12 + word] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

#define XOR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define ROTATE(value, bits) _mm512_ror_epi32(value, bits)
// Keeps the compiler from adding in another order.
#define IN_THIS_ORDER(sum) __asm__("" : "+v"(sum))

AVX512 static inline __m512i next_word(const __m512i *words, size_t round) {
    __m512i w1 = words[(round + 1) % 16], w14 = words[(round + 14) % 16];
    __m512i small0 = XOR3(ROTATE(w1, 7), ROTATE(w1, 18), _mm512_srli_epi32(w1, 3));
    __m512i small1 = XOR3(ROTATE(w14, 17), ROTATE(w14, 19), _mm512_srli_epi32(w14, 10));
    return _mm512_add_epi32(
        _mm512_add_epi32(words[round % 16], words[(round + 9) % 16]),
        _mm512_add_epi32(small0, small1));
}

// `groups` times sixteen lanes: the rounds of one are a chain in which every step
// has a latency of two cycles, and those of another fit between.
AVX512 static inline __attribute__((always_inline)) void compress_groups(
    uint32_t *state, const uint8_t *const *messages, size_t blocks, const size_t groups) {
    const size_t ahead = 16 * groups * (size_t)(messages[1] - messages[0]);
    __m512i s[8][2];
    for (size_t word = 0; word < 8; word++)
        for (size_t k = 0; k < groups; k++)
            s[word][k] = _mm512_load_si512(state + 16 * (groups * word + k));
    for (size_t block = 0; block < blocks; block++) {
        __m512i words[2][16];
        for (size_t k = 0; k < groups; k++)
            load_block(messages + 16 * k, lanes_block_bytes * block, ahead, words[k]);
        __m512i v[8][2];
        for (size_t word = 0; word < 8; word++)
            for (size_t k = 0; k < groups; k++) v[word][k] = s[word][k];
#pragma clang loop unroll(full)
        for (size_t round = 0; round < 64; round++) {
            // a is v[-round mod 8] and so on: the names move, not the values.
            const size_t A = (64 - round) % 8, B = (A + 1) % 8, C = (A + 2) % 8, D = (A + 3) % 8;
            const size_t E = (A + 4) % 8, F = (A + 5) % 8, G = (A + 6) % 8, H = (A + 7) % 8;
#pragma clang loop unroll(full)
            for (size_t k = 0; k < groups; k++) {
                if (round >= 16) words[k][round % 16] = next_word(words[k], round);
                __m512i a = v[A][k], e = v[E][k];
                __m512i early = _mm512_add_epi32(words[k][round % 16],
                                                 _mm512_set1_epi32((int)constants[round]));
                IN_THIS_ORDER(early);
                early = _mm512_add_epi32(early, v[H][k]);
                IN_THIS_ORDER(early);
                early = _mm512_add_epi32(early,
                                         _mm512_ternarylogic_epi32(e, v[F][k], v[G][k], 0xca));
                IN_THIS_ORDER(early);
                __m512i next_e = _mm512_add_epi32(early, v[D][k]);
                IN_THIS_ORDER(next_e);
                __m512i next_a = _mm512_add_epi32(
                    early, _mm512_ternarylogic_epi32(a, v[B][k], v[C][k], 0xe8));
                IN_THIS_ORDER(next_a);
                __m512i big1 = XOR3(ROTATE(e, 6), ROTATE(e, 11), ROTATE(e, 25));
                __m512i big0 = XOR3(ROTATE(a, 2), ROTATE(a, 13), ROTATE(a, 22));
                v[D][k] = _mm512_add_epi32(next_e, big1);
                next_a = _mm512_add_epi32(next_a, big1);
                IN_THIS_ORDER(next_a);
                v[H][k] = _mm512_add_epi32(next_a, big0);
            }
        }
        for (size_t word = 0; word < 8; word++)
            for (size_t k = 0; k < groups; k++)
                s[word][k] = _mm512_add_epi32(s[word][k], v[word][k]);
    }
    for (size_t word = 0; word < 8; word++)
        for (size_t k = 0; k < groups; k++)
            _mm512_store_si512(state + 16 * (groups * word + k), s[word][k]);
}

AVX512 static void compress_sixteen(uint32_t *state, const uint8_t *const *messages,
                                    size_t blocks) {
    compress_groups(state, messages, blocks, 1);
}

AVX512 static void compress_thirty_two(uint32_t *state, const uint8_t *const *messages,
                                       size_t blocks) {
    compress_groups(state, messages, blocks, 2);
}

static int has_sha_ni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA) &&
           __builtin_cpu_supports("sse4.1");
}

static const struct lanes two = {2, compress_two};
static const struct lanes sixteen = {16, compress_sixteen};
static const struct lanes thirty_two = {32, compress_thirty_two};

const struct lanes *lanes_available(size_t rank) {
    const struct lanes *available[lanes_kinds_max];
    size_t count = 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
        available[count++] = &thirty_two;
        available[count++] = &sixteen;
    }
    if (has_sha_ni()) available[count++] = &two;
    return rank < count ? available[rank] : NULL;
}

#else

const struct lanes *lanes_available(size_t rank) {
    (void)rank;
    return NULL;
}

#endif
