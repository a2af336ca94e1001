#include "wide.h"

#include <string.h>

#if defined(__x86_64__)

#include <immintrin.h>

// GHASH multiplies in GF(2^128) with bits reversed; with the bytes of a block
// reversed and the key shifted by one bit, carry-less products of the plain numbers
// do it (Gueron and Kounavis, "Intel carry-less multiplication instruction and its
// usage for computing the GCM mode"). All products of up to sixteen blocks, each with
// its power of the key, are added up and reduced once.

#define WIDE __attribute__((target("avx512f,avx512bw,vaes,aes,vpclmulqdq,pclmul")))

enum {
    block_bytes = 16,
    register_blocks = 4,
    register_bytes = register_blocks * block_bytes,
    registers = 4,
    stride = registers * register_bytes,
};

// The product of 128-bit numbers, not reduced: a * b = high * x^128 + middle * x^64 + low.
struct product {
    __m512i low, middle, high;
};

WIDE static inline __m512i bytes_reversed(__m512i blocks) {
    return _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(_mm_set_epi64x(
                                           0x0001020304050607, 0x08090a0b0c0d0e0f)));
}

WIDE static inline void add_product(struct product *sum, __m512i a, __m512i b) {
    sum->low = _mm512_xor_si512(sum->low, _mm512_clmulepi64_epi128(a, b, 0x00));
    sum->middle = _mm512_ternarylogic_epi64(sum->middle, _mm512_clmulepi64_epi128(a, b, 0x01),
                                            _mm512_clmulepi64_epi128(a, b, 0x10), 0x96);
    sum->high = _mm512_xor_si512(sum->high, _mm512_clmulepi64_epi128(a, b, 0x11));
}

// Each quarter modulo x^128 + x^127 + x^126 + x^121 + 1.
WIDE static inline __m512i reduced(struct product sum) {
    const __m512i polynomial = _mm512_set1_epi64((long long)0xc200000000000000);
    __m512i middle = _mm512_ternarylogic_epi64(
        sum.middle, _mm512_shuffle_epi32(sum.low, 0x4e),
        _mm512_clmulepi64_epi128(polynomial, sum.low, 0x00), 0x96);
    return _mm512_ternarylogic_epi64(sum.high, _mm512_shuffle_epi32(middle, 0x4e),
                                     _mm512_clmulepi64_epi128(polynomial, middle, 0x00), 0x96);
}

WIDE static inline __m128i quarters_added(__m512i value) {
    __m256i half =
        _mm256_xor_si256(_mm512_castsi512_si256(value), _mm512_extracti64x4_epi64(value, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

WIDE static inline __m128i multiplied(__m128i a, __m128i b) {
    struct product sum = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    add_product(&sum, _mm512_zextsi128_si512(a), _mm512_zextsi128_si512(b));
    return _mm512_castsi512_si128(reduced(sum));
}

WIDE static inline void load_rounds(const struct wide_key *key, __m512i *rounds) {
    for (size_t round = 0; round <= wide_rounds; round++)
        rounds[round] =
            _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)key->rounds[round]));
}

WIDE static inline __m512i encrypted(__m512i blocks, const __m512i *rounds) {
    blocks = _mm512_xor_si512(blocks, rounds[0]);
#pragma clang loop unroll(full)
    for (size_t round = 1; round < wide_rounds; round++)
        blocks = _mm512_aesenc_epi128(blocks, rounds[round]);
    return _mm512_aesenclast_epi128(blocks, rounds[wide_rounds]);
}

WIDE void wide_gcm_expand(const uint8_t *key, struct wide_gcm *gcm) {
    wide_expand(key, &gcm->key);
    __m512i rounds[wide_rounds + 1];
    load_rounds(&gcm->key, rounds);
    uint64_t h[2];
    __m512i hash_key = bytes_reversed(encrypted(_mm512_setzero_si512(), rounds));
    _mm_storeu_si128((__m128i *)h, _mm512_castsi512_si128(hash_key));
    const uint64_t carry = (uint64_t)0 - (h[1] >> 63);
    h[1] = (h[1] << 1 | h[0] >> 63) ^ (carry & 0xc200000000000000);
    h[0] = (h[0] << 1) ^ (carry & 1);
    const __m128i first = _mm_loadu_si128((const __m128i *)h);
    memset(gcm->powers, 0, sizeof gcm->powers);
    __m128i power = first;
    for (size_t index = wide_gcm_powers; index > 0; index--) {
        _mm_storeu_si128((__m128i *)gcm->powers[index - 1], power);
        power = multiplied(power, first);
    }
}

WIDE static inline __mmask64 first_bytes(size_t count) {
    return count >= register_bytes ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

// The hash after another 1 to 256 bytes; a last block that is short is filled up
// with zeros.
WIDE static inline __m128i hash_some(const struct wide_gcm *gcm, __m128i hash,
                                     const uint8_t *bytes, size_t count) {
    const size_t blocks = (count + block_bytes - 1) / block_bytes;
    struct product sum = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    __m512i before = _mm512_zextsi128_si512(hash);
    for (size_t block = 0; block < blocks; block += register_blocks) {
        const size_t at = block * block_bytes;
        __m512i data = bytes_reversed(
            _mm512_maskz_loadu_epi8(first_bytes(count - at), bytes + at));
        add_product(&sum, _mm512_xor_si512(data, before),
                    _mm512_loadu_si512(gcm->powers[wide_gcm_powers - blocks + block]));
        before = _mm512_setzero_si512();
    }
    return quarters_added(reduced(sum));
}

// XORs what is at `from` with the keystream, to `to`, and hashes the ciphertext: what
// comes out if `encrypts`, else what goes in.
WIDE static inline __attribute__((always_inline)) __m128i crypt(
    const struct wide_gcm *gcm, const __m512i *rounds, __m512i counters, __m128i hash,
    const uint8_t *from, uint8_t *to, size_t count, const int encrypts) {
    const __m512i step = _mm512_maskz_set1_epi32(0x1111, register_blocks);
    __m512i powers[registers];
    for (size_t index = 0; index < registers; index++)
        powers[index] = _mm512_loadu_si512(gcm->powers[register_blocks * index]);
    for (; count >= stride; count -= stride, from += stride, to += stride) {
        __m512i stream[registers];
#pragma clang loop unroll(full)
        for (size_t index = 0; index < registers; index++) {
            stream[index] = _mm512_xor_si512(bytes_reversed(counters), rounds[0]);
            counters = _mm512_add_epi32(counters, step);
        }
#pragma clang loop unroll(full)
        for (size_t round = 1; round < wide_rounds; round++) {
#pragma clang loop unroll(full)
            for (size_t index = 0; index < registers; index++)
                stream[index] = _mm512_aesenc_epi128(stream[index], rounds[round]);
        }
        struct product sum = {_mm512_setzero_si512(), _mm512_setzero_si512(),
                              _mm512_setzero_si512()};
#pragma clang loop unroll(full)
        for (size_t index = 0; index < registers; index++) {
            const __m512i data = _mm512_loadu_si512(from + index * register_bytes);
            stream[index] = _mm512_aesenclast_epi128(stream[index], rounds[wide_rounds]);
            const __m512i result = _mm512_xor_si512(data, stream[index]);
            _mm512_storeu_si512(to + index * register_bytes, result);
            __m512i hashed = bytes_reversed(encrypts ? result : data);
            if (index == 0) hashed = _mm512_xor_si512(hashed, _mm512_zextsi128_si512(hash));
            add_product(&sum, hashed, powers[index]);
        }
        hash = quarters_added(reduced(sum));
    }
    if (count == 0) return hash;
    if (!encrypts) hash = hash_some(gcm, hash, from, count);
    for (size_t at = 0; at < count; at += register_bytes) {
        const __mmask64 mask = first_bytes(count - at);
        const __m512i stream = encrypted(bytes_reversed(counters), rounds);
        counters = _mm512_add_epi32(counters, step);
        const __m512i data = _mm512_maskz_loadu_epi8(mask, from + at);
        _mm512_mask_storeu_epi8(to + at, mask, _mm512_xor_si512(data, stream));
    }
    return encrypts ? hash_some(gcm, hash, to, count) : hash;
}

WIDE void wide_gcm_crypt(const struct wide_gcm *gcm, int encrypts, const uint8_t *nonce,
                         const uint8_t *associated, size_t associated_count,
                         const uint8_t *from, size_t count, uint8_t *to, uint8_t *tag) {
    __m512i rounds[wide_rounds + 1];
    load_rounds(&gcm->key, rounds);
    uint8_t start[block_bytes] = {0};
    memcpy(start, nonce, 12);
    start[block_bytes - 1] = 1;
    // The first counter block hides the tag; the data's begin at the second.
    const __m512i first = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)start));
    const __m512i counters = _mm512_add_epi32(
        bytes_reversed(first), _mm512_set_epi32(0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1));
    __m128i hash = _mm_setzero_si128();
    for (size_t at = 0; at < associated_count; at += stride) {
        const size_t rest = associated_count - at;
        hash = hash_some(gcm, hash, associated + at, rest < stride ? rest : stride);
    }
    hash = encrypts ? crypt(gcm, rounds, counters, hash, from, to, count, 1)
                    : crypt(gcm, rounds, counters, hash, from, to, count, 0);
    const __m128i lengths =
        _mm_set_epi64x((long long)(8 * associated_count), (long long)(8 * count));
    const __m128i last = _mm_loadu_si128((const __m128i *)gcm->powers[wide_gcm_powers - 1]);
    hash = multiplied(_mm_xor_si128(hash, lengths), last);
    const __m512i hidden = _mm512_xor_si512(bytes_reversed(_mm512_zextsi128_si512(hash)),
                                            encrypted(first, rounds));
    _mm_storeu_si128((__m128i *)tag, _mm512_castsi512_si128(hidden));
}

#else

void wide_gcm_expand(const uint8_t *key, struct wide_gcm *gcm) {
    (void)key;
    (void)gcm;
}

void wide_gcm_crypt(const struct wide_gcm *gcm, int encrypts, const uint8_t *nonce,
                    const uint8_t *associated, size_t associated_count, const uint8_t *from,
                    size_t count, uint8_t *to, uint8_t *tag) {
    (void)gcm, (void)encrypts, (void)nonce, (void)associated, (void)associated_count;
    (void)from, (void)count, (void)to, (void)tag;
}

#endif
