// Sixteen float32 lanes at a time, read from and written to bfloat16: what head.c and attention.c share.

#ifndef __AVX512BF16__
#error this processor has no AVX512-BF16
#endif

#include <immintrin.h>
#include <math.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
#define LOG2_E 1.44269504f

typedef uint16_t bfloat16;  // the upper half of a float

INLINE float widened(bfloat16 half) {
    union { uint32_t whole; float real; } bits = {.whole = (uint32_t)half << 16};
    return bits.real;
}

INLINE bfloat16 narrowed(float x) {
    const __m128i both = (__m128i)_mm_cvtneps_pbh(_mm_set_ss(x));
    return (bfloat16)_mm_extract_epi16(both, 0);
}

INLINE __m512 load(__mmask16 lanes, const bfloat16 *from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, from)), 16));
}

// Rounded to the nearest, ties to even.
INLINE void store(bfloat16 *to, __mmask16 lanes, __m512 x) {
    _mm256_mask_storeu_epi16(to, lanes, (__m256i)_mm512_cvtneps_pbh(x));
}

// The lanes of a vector of which only `count` exist.
INLINE __mmask16 first_lanes(int64_t count) {
    return count >= LANES ? 0xFFFF : count <= 0 ? 0 : (__mmask16)((1u << count) - 1);
}

// 2^x for x <= 128, off by about 1e-7 of itself; 0 below -150, and NaN stays NaN. The polynomial has the least relative
// error on [-1/2, 1/2] of those of degree 5 that are 1 at 0.
INLINE __m512 power_of_two(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-150.0f), x);  // of a NaN, the instruction returns its second operand
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 part = _mm512_sub_ps(x, whole);
    __m512 p = _mm512_set1_ps(1.32647270e-3f);
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(9.67151266e-3f));
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(5.55073374e-2f));
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(2.40222421e-1f));
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(6.93146978e-1f));
    p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, whole);
}
