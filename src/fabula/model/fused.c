// What lies between the matrix products of a training step on a processor, where the compiler's code for it passes over
// memory several times: exponentials of the head's logits, and the softmax of causal attention. Each row is read from
// memory once, worked on in the cache, and written once, in place. fused.py compiles this file and calls it.
//
// Numbers in place are bfloat16, the upper halves of floats; everything is computed in float32. Threads share rows, and no
// sum depends on how many there are.
//
// Shapes: C rows of a chunk, V words, T keys.

#include "exponential.h"

#define BLOCK 512  // terms of a sum that are added up in float32 before they join a double

INLINE float widened(uint16_t half) {
    union { uint32_t whole; float real; } bits = {.whole = (uint32_t)half << 16};
    return bits.real;
}

// To the nearest, ties to even. A NaN stays one: all of ours have a bit set in the upper half.
INLINE uint16_t narrowed(float x) {
    union { float real; uint32_t whole; } bits = {.real = x};
    return (uint16_t)((bits.whole + 0x7FFFu + ((bits.whole >> 16) & 1u)) >> 16);
}

INLINE float greater(float a, float b) { return a > b ? a : b; }

// A row of logits becomes e = exp(logit + bias - max), its target's e less their sum, what is behind the last word 0.
// Returns the sum; `loss` is -log p of the target.
static double exponentials_of_row(
    uint16_t *restrict row_V, const float *restrict bias_V, int64_t words, int64_t columns, int64_t target, float *loss
) {
    float max = -INFINITY;
    if (bias_V) {
#pragma omp simd reduction(max : max)
        for (int64_t v = 0; v < words; v++) max = greater(widened(row_V[v]) + bias_V[v], max);
    } else {
#pragma omp simd reduction(max : max)
        for (int64_t v = 0; v < words; v++) max = greater(widened(row_V[v]), max);
    }
    const float at_target = widened(row_V[target]) + (bias_V ? bias_V[target] : 0.0f);
    double total = 0.0;
    for (int64_t start = 0; start < words; start += BLOCK) {
        const int64_t stop = start + BLOCK < words ? start + BLOCK : words;
        float sum = 0.0f;
        if (bias_V) {
#pragma omp simd reduction(+ : sum)
            for (int64_t v = start; v < stop; v++) {
                const float e = exponential(widened(row_V[v]) + bias_V[v] - max);
                sum += e;
                row_V[v] = narrowed(e);
            }
        } else {
#pragma omp simd reduction(+ : sum)
            for (int64_t v = start; v < stop; v++) {
                const float e = exponential(widened(row_V[v]) - max);
                sum += e;
                row_V[v] = narrowed(e);
            }
        }
        total += (double)sum;
    }
    for (int64_t v = words; v < columns; v++) row_V[v] = 0;
    row_V[target] = narrowed(exponential(at_target - max) - (float)total);
    *loss = max + logf((float)total) - at_target;
    return total;
}

// The rows of a chunk, a negative target for those that do not count: their loss and scale are 0. `scale_C` is 1 / sum,
// by which each row has still to be multiplied. `parts_PV`, where there is a bias, gets its gradient, for `part` rows each.
void exponentials(
    int64_t threads, int64_t rows, int64_t words, int64_t columns, int64_t part, uint16_t *restrict logits_CV,
    const float *restrict bias_V, const int64_t *restrict target_C, float *restrict loss_C, float *restrict scale_C,
    float *restrict parts_PV
) {
    const int64_t parts = (rows + part - 1) / part;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t p = 0; p < parts; p++) {
        float *sums_V = parts_PV ? parts_PV + p * words : 0;
        for (int64_t v = 0; sums_V && v < words; v++) sums_V[v] = 0.0f;
        const int64_t end = (p + 1) * part < rows ? (p + 1) * part : rows;
        for (int64_t c = p * part; c < end; c++) {
            uint16_t *row_V = logits_CV + c * columns;
            const int64_t target = target_C[c];
            const double sum = exponentials_of_row(row_V, bias_V, words, columns, target < 0 ? 0 : target, loss_C + c);
            const float scale = target < 0 ? 0.0f : (float)(1.0 / sum);
            scale_C[c] = scale;
            if (target < 0) loss_C[c] = 0.0f;
            if (sums_V)
                for (int64_t v = 0; v < words; v++) sums_V[v] += scale * widened(row_V[v]);
        }
    }
}

// Scores of `matrices` squares of T queries and keys become the softmax of scale x score over the keys up to the query.
void causal_softmax(int64_t threads, int64_t matrices, int64_t size, float scale, uint16_t *restrict scores_MTT) {
#pragma omp parallel for num_threads(threads)
    for (int64_t m = 0; m < matrices; m++)
        for (int64_t t = 0; t < size; t++) {
            uint16_t *restrict row_T = scores_MTT + (m * size + t) * size;
            float e_T[size];
            float max = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : max)
            for (int64_t k = 0; k <= t; k++) max = greater(scale * widened(row_T[k]), max);
#pragma omp simd reduction(+ : sum)
            for (int64_t k = 0; k <= t; k++) sum += e_T[k] = exponential(scale * widened(row_T[k]) - max);
            const float factor = 1.0f / sum;
            for (int64_t k = 0; k <= t; k++) row_T[k] = narrowed(e_T[k] * factor);
            for (int64_t k = t + 1; k < size; k++) row_T[k] = 0;
        }
}

// Gradients of probabilities become gradients of scores: scale p (dp - sum p dp).
void causal_softmax_gradient(
    int64_t threads, int64_t matrices, int64_t size, float scale, const uint16_t *restrict p_MTT,
    uint16_t *restrict gradient_MTT
) {
#pragma omp parallel for num_threads(threads)
    for (int64_t m = 0; m < matrices; m++)
        for (int64_t t = 0; t < size; t++) {
            const uint16_t *restrict p_T = p_MTT + (m * size + t) * size;
            uint16_t *restrict gradient_T = gradient_MTT + (m * size + t) * size;
            float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
            for (int64_t k = 0; k <= t; k++) sum += widened(p_T[k]) * widened(gradient_T[k]);
            for (int64_t k = 0; k <= t; k++)
                gradient_T[k] = narrowed(scale * widened(p_T[k]) * (widened(gradient_T[k]) - sum));
            for (int64_t k = t + 1; k < size; k++) gradient_T[k] = 0;
        }
}

// A matrix (rows, columns) in the order of its columns. A tile of rows stays in the cache while each column is taken out.
void in_columns(
    int64_t threads, int64_t rows, int64_t columns, const uint16_t *restrict by_rows, uint16_t *restrict by_columns
) {
    const int64_t tile = 64, tiles = (rows + tile - 1) / tile;
#pragma omp parallel for num_threads(threads)
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t end = (t + 1) * tile < rows ? (t + 1) * tile : rows;
        for (int64_t c = 0; c < columns; c++)
            for (int64_t r = t * tile; r < end; r++) by_columns[c * rows + r] = by_rows[r * columns + c];
    }
}
