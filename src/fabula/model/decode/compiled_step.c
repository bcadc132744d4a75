// What lies between the matrix products of a decoding step, in float32, for a few rows at a time.
//
// A tensor function costs a microsecond or two however little it computes, and a layer needs two dozen of them for its
// norms, rotations, attention and gates. Here they are four calls. compiled_step.py compiles this file and calls it.
//
// Shapes: B rows, D width, F feed-forward width, H query heads, K key/value heads, G queries a key head serves (H / K),
// J all heads (H + 2 K), E head width, S slots of a cache, T positions, V vocabulary.

#include <math.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 32
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

// The structures have their twins in compiled_step.py. A pointer to what a shape lacks is null.

typedef struct {
    int64_t width, layernorm;
    const float *weight_D, *bias_D;
    float epsilon;
} Norm;

typedef struct {
    int64_t heads, kv_heads, head_width, slots;
    const float *gain_2E;               // of the query norm and of the key norm
    const float *cosine_TE, *sine_TE;   // of half a head
    const float *values_VKE;            // value embeddings
    float *both_BJSE;                   // keys, then values
    float epsilon, scale;
} Attention;

typedef struct {
    int64_t rows, time, slot, used;
    const int64_t *padding_B, *token_B;
    const float *bias_BS;               // 0, or far below it where a row does not see a slot
    float *scores_S;                    // room to work in
} Step;

enum { RELU, RELU_SQUARED, GELU, GELU_TANH, SILU };

INLINE float dot(const float *a, const float *b, int64_t size) {
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < size; i++) sum += a[i] * b[i];
    return sum;
}

// y = the norm of x; they may be the same.
static void normalize(const Norm *norm, const float *x_D, float *y_D) {
    const int64_t width = norm->width;
    float mean = 0.0f, square = 0.0f;
    if (norm->layernorm) {
#pragma omp simd reduction(+ : mean)
        for (int64_t i = 0; i < width; i++) mean += x_D[i];
        mean /= (float)width;
    }
#pragma omp simd reduction(+ : square)
    for (int64_t i = 0; i < width; i++) square += (x_D[i] - mean) * (x_D[i] - mean);
    const float factor = 1.0f / sqrtf(square / (float)width + norm->epsilon);
    for (int64_t i = 0; i < width; i++) y_D[i] = (x_D[i] - mean) * factor;
    if (norm->weight_D)
        for (int64_t i = 0; i < width; i++) y_D[i] *= norm->weight_D[i];
    if (norm->bias_D)
        for (int64_t i = 0; i < width; i++) y_D[i] += norm->bias_D[i];
}

// x += the norm `post` of y, or y itself without one; then z = the norm of x. Without y, x stays. y is used up.
void add_and_normalize(const Norm *post, const Norm *norm, int64_t rows, float *x_BD, float *y_BD, float *z_BD) {
    const int64_t width = norm->width;
    for (int64_t b = 0; b < rows; b++) {
        float *x_D = x_BD + b * width;
        if (y_BD) {
            float *y_D = y_BD + b * width;
            if (post) normalize(post, y_D, y_D);
            for (int64_t i = 0; i < width; i++) x_D[i] += y_D[i];
        }
        normalize(norm, x_D, z_BD + b * width);
    }
}

INLINE void rotate(float *head_E, const float *cosine_E, const float *sine_E, int64_t half) {
    for (int64_t i = 0; i < half; i++) {
        const float first = head_E[i], second = head_E[half + i];
        head_E[i] = first * cosine_E[i] - second * sine_E[i];
        head_E[half + i] = second * cosine_E[i] + first * sine_E[i];
    }
}

// y = softmax(scale q k' + bias) v, of one query head. `width` is E, known when compiled where it is a usual one.
INLINE void attend_head(
    const float *q_E, const float *k_SE, const float *v_SE, const float *bias_S, float scale, int64_t used,
    float *scores_S, float *y_E, const int64_t width
) {
    float highest = -INFINITY, sum = 0.0f;
    for (int64_t s = 0; s < used; s++) scores_S[s] = scale * dot(q_E, k_SE + s * width, width);
    if (bias_S)
        for (int64_t s = 0; s < used; s++) scores_S[s] += bias_S[s];
#pragma omp simd reduction(max : highest)
    for (int64_t s = 0; s < used; s++) highest = scores_S[s] > highest ? scores_S[s] : highest;
#pragma omp simd reduction(+ : sum)
    for (int64_t s = 0; s < used; s++) {
        scores_S[s] = exponential(scores_S[s] - highest);
        sum += scores_S[s];
    }
    const float factor = 1.0f / sum;
    // A block of sums stays in registers while all values pass by.
    for (int64_t begin = 0; begin < width; begin += BLOCK) {
        const int64_t size = width - begin < BLOCK ? width - begin : BLOCK;
        float sums[BLOCK] = {0};
        for (int64_t s = 0; s < used; s++)
            for (int64_t i = 0; i < size; i++) sums[i] += scores_S[s] * v_SE[s * width + begin + i];
        for (int64_t i = 0; i < size; i++) y_E[begin + i] = sums[i] * factor;
    }
}

// From queries, keys and values (B, J, E), changed in place, to what attention makes of them (B, G, K, E).
void attend(const Attention *attention, const Step *step, float *heads_BJE, float *y_BGKE) {
    const int64_t H = attention->heads, K = attention->kv_heads, E = attention->head_width, S = attention->slots;
    const int64_t G = H / K, J = H + 2 * K;
    for (int64_t b = 0; b < step->rows; b++) {
        float *heads_JE = heads_BJE + b * J * E, *both_JSE = attention->both_BJSE + b * 2 * K * S * E;
        const int64_t place = (step->time - step->padding_B[b]) * (E / 2);
        for (int64_t j = 0; j < H + K; j++) {
            float *head_E = heads_JE + j * E;
            if (attention->gain_2E) {
                const float *gain_E = attention->gain_2E + (j < H ? 0 : E);
                const float factor = 1.0f / sqrtf(dot(head_E, head_E, E) / (float)E + attention->epsilon);
                for (int64_t i = 0; i < E; i++) head_E[i] *= factor * gain_E[i];
            }
            if (attention->cosine_TE) rotate(head_E, attention->cosine_TE + place, attention->sine_TE + place, E / 2);
        }
        if (attention->values_VKE) {
            float *value_KE = heads_JE + (H + K) * E;
            const float *more_KE = attention->values_VKE + step->token_B[b] * K * E;
            for (int64_t i = 0; i < K * E; i++) value_KE[i] += more_KE[i];
        }
        for (int64_t j = 0; j < 2 * K; j++)
            memcpy(both_JSE + (j * S + step->slot) * E, heads_JE + (H + j) * E, (size_t)E * sizeof(float));
        const float *bias_S = step->bias_BS ? step->bias_BS + b * S : 0;
        for (int64_t k = 0; k < K; k++) {
            const float *k_SE = both_JSE + k * S * E, *v_SE = both_JSE + (K + k) * S * E;
            for (int64_t g = 0; g < G; g++) {
                const float *q_E = heads_JE + (k * G + g) * E;
                float *y_E = y_BGKE + ((b * G + g) * K + k) * E;
#define ATTEND(width) attend_head(q_E, k_SE, v_SE, bias_S, attention->scale, step->used, step->scores_S, y_E, width)
                if (E == 32) ATTEND(32);
                else if (E == 64) ATTEND(64);
                else if (E == 128) ATTEND(128);
                else ATTEND(E);
#undef ATTEND
            }
        }
    }
}

INLINE float activation(float x, const int kind) {
    switch (kind) {
        case RELU: return x > 0.0f ? x : 0.0f;
        case RELU_SQUARED: return x > 0.0f ? x * x : 0.0f;
        case GELU: return 0.5f * x * (1.0f + erff(x * 0.707106781f));
        // 0.5 (1 + tanh u) = 1 / (1 + exp(-2 u))
        case GELU_TANH: return x / (1.0f + exponential(-1.59576912f * (x + 0.044715f * x * x * x)));
        default: return x / (1.0f + exponential(-x));
    }
}

INLINE void activate_row(const float *x, float *y_F, int64_t size, int64_t gated, const int kind) {
    if (gated)
        for (int64_t i = 0; i < size; i++) y_F[i] = activation(x[i], kind) * x[size + i];
    else
        for (int64_t i = 0; i < size; i++) y_F[i] = activation(x[i], kind);
}

// y = activation(x) (B, F); of a gated kind x is (B, 2 F) and the second half is multiplied by it.
void activate(int64_t kind, int64_t gated, int64_t rows, int64_t size, const float *x, float *y_BF) {
    for (int64_t b = 0; b < rows; b++, x += (gated ? 2 : 1) * size, y_BF += size) {
        switch (kind) {
            case RELU: activate_row(x, y_BF, size, gated, RELU); break;
            case RELU_SQUARED: activate_row(x, y_BF, size, gated, RELU_SQUARED); break;
            case GELU: activate_row(x, y_BF, size, gated, GELU); break;
            case GELU_TANH: activate_row(x, y_BF, size, gated, GELU_TANH); break;
            default: activate_row(x, y_BF, size, gated, SILU);
        }
    }
}
