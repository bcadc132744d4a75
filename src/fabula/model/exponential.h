// What between.c and fused.c share.

#include <math.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

// Cephes' expf: a relative error of about 1e-7 from -87 to 88; NaN stays NaN.
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { int32_t whole; float real; } power = {.whole = ((int32_t)n + 127) * (1 << 23)};
    return p * power.real;
}
