#include "wide.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,vaes,aes")))

enum {
    block_bytes = 16,
    // Blocks in a register, and registers at a time: a round has a latency of four
    // cycles, and others' rounds fit between.
    register_blocks = 4,
    register_bytes = register_blocks * block_bytes,
    registers = 4,
};

int wide_available(void) {
    unsigned a, b, c, d;
    // The builtin also asks whether the system saves the wide registers.
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("aes") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           __builtin_cpu_supports("pclmul") && (c & bit_VAES) && (c & bit_VPCLMULQDQ);
}

// One step of the key schedule: `previous` shifted into itself, and what `assist`
// made of the other half's last word.
WIDE static inline __m128i schedule(__m128i previous, __m128i assist) {
    previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 4));
    previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 8));
    return _mm_xor_si128(previous, assist);
}

WIDE void wide_expand(const uint8_t *key, struct wide_key *expanded) {
    __m128i *rounds = (__m128i *)expanded->rounds;
    __m128i even = _mm_loadu_si128((const __m128i *)key);
    __m128i odd = _mm_loadu_si128((const __m128i *)(key + 16));
    rounds[0] = even;
    rounds[1] = odd;
    // The round constants must be known to the compiler.
#define EVEN(round, constant)                                                              \
    rounds[round] = even = schedule(                                                       \
        even, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, constant), 0xff))
#define ODD(round)                                                                         \
    rounds[round] = odd =                                                                  \
        schedule(odd, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa))
    EVEN(2, 0x01);
    ODD(3);
    EVEN(4, 0x02);
    ODD(5);
    EVEN(6, 0x04);
    ODD(7);
    EVEN(8, 0x08);
    ODD(9);
    EVEN(10, 0x10);
    ODD(11);
    EVEN(12, 0x20);
    ODD(13);
    EVEN(14, 0x40);
#undef EVEN
#undef ODD
}

// The keystream of the four blocks whose numbers are in the upper halves of `numbers`.
WIDE static inline __m512i keystream(const __m512i *rounds, __m512i numbers, __m512i swap) {
    __m512i block = _mm512_xor_si512(_mm512_shuffle_epi8(numbers, swap), rounds[0]);
#pragma clang loop unroll(full)
    for (size_t round = 1; round < wide_rounds; round++)
        block = _mm512_aesenc_epi128(block, rounds[round]);
    return _mm512_aesenclast_epi128(block, rounds[wide_rounds]);
}

WIDE void wide_ctr(const struct wide_key *key, uint64_t offset, const uint8_t *from, uint8_t *to,
                   size_t count) {
    __m512i rounds[wide_rounds + 1];
    for (size_t round = 0; round <= wide_rounds; round++)
        rounds[round] =
            _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)key->rounds[round]));
    const __m512i swap =
        _mm512_broadcast_i32x4(_mm_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607));
    const __m512i step = _mm512_set_epi64(register_blocks, 0, register_blocks, 0,
                                          register_blocks, 0, register_blocks, 0);
    const long long first = (long long)(offset / block_bytes);
    __m512i numbers = _mm512_add_epi64(_mm512_set1_epi64(first),
                                       _mm512_set_epi64(3, 0, 2, 0, 1, 0, 0, 0));
    numbers = _mm512_maskz_mov_epi64(0xaa, numbers);
    const size_t skipped = offset % block_bytes;
    if (skipped > 0 && count > 0) {
        // Up to the next block: the keystream's bytes before `offset` meet none of ours.
        const size_t part = count < block_bytes - skipped ? count : block_bytes - skipped;
        const __mmask64 mask = ((((__mmask64)1 << part) - 1) << skipped);
        const __m512i stream = keystream(rounds, numbers, swap);
        __m512i data = _mm512_maskz_loadu_epi8(mask, from - skipped);
        _mm512_mask_storeu_epi8(to - skipped, mask, _mm512_xor_si512(data, stream));
        numbers = _mm512_mask_add_epi64(numbers, 0xaa, numbers, _mm512_set1_epi64(1));
        from += part;
        to += part;
        count -= part;
    }
    for (; count >= registers * register_bytes; count -= registers * register_bytes) {
        __m512i stream[registers];
#pragma clang loop unroll(full)
        for (size_t index = 0; index < registers; index++) {
            stream[index] = _mm512_xor_si512(_mm512_shuffle_epi8(numbers, swap), rounds[0]);
            numbers = _mm512_add_epi64(numbers, step);
        }
#pragma clang loop unroll(full)
        for (size_t round = 1; round < wide_rounds; round++) {
#pragma clang loop unroll(full)
            for (size_t index = 0; index < registers; index++)
                stream[index] = _mm512_aesenc_epi128(stream[index], rounds[round]);
        }
#pragma clang loop unroll(full)
        for (size_t index = 0; index < registers; index++) {
            stream[index] = _mm512_aesenclast_epi128(stream[index], rounds[wide_rounds]);
            const __m512i data = _mm512_loadu_si512(from + index * register_bytes);
            _mm512_storeu_si512(to + index * register_bytes,
                                _mm512_xor_si512(data, stream[index]));
        }
        from += registers * register_bytes;
        to += registers * register_bytes;
    }
    while (count > 0) {
        const size_t part = count < register_bytes ? count : register_bytes;
        const __mmask64 mask = part == register_bytes ? ~(__mmask64)0 : ((__mmask64)1 << part) - 1;
        const __m512i stream = keystream(rounds, numbers, swap);
        __m512i data = _mm512_maskz_loadu_epi8(mask, from);
        _mm512_mask_storeu_epi8(to, mask, _mm512_xor_si512(data, stream));
        numbers = _mm512_add_epi64(numbers, step);
        from += part;
        to += part;
        count -= part;
    }
}

#else

int wide_available(void) { return 0; }

void wide_expand(const uint8_t *key, struct wide_key *expanded) {
    (void)key;
    (void)expanded;
}

void wide_ctr(const struct wide_key *key, uint64_t offset, const uint8_t *from, uint8_t *to,
              size_t count) {
    (void)key;
    (void)offset;
    (void)from;
    (void)to;
    (void)count;
}

#endif
