// What lies between the matrix products of the output head, where the compiler's code for it passes over memory several
// times. Each row of logits is read from memory once, worked on in the cache, and written once, in place. head.py
// calls it.
//
// Numbers in place are bfloat16; everything is computed in float32. Threads share rows, and no sum depends on how many
// there are.
//
// Shapes: C rows of a chunk, V words.

#include "lanes.h"

#define BLOCK 512  // terms of a sum that are added up in float32 before they join a double

// Logits plus bias.
INLINE __m512 logits(__mmask16 lanes, const bfloat16 *row_V, const float *bias_V, int64_t v) {
    const __m512 x = load(lanes, row_V + v);
    return bias_V ? _mm512_add_ps(x, _mm512_maskz_loadu_ps(lanes, bias_V + v)) : x;
}

// A row of logits becomes e = exp(logit + bias - max), its target's e less their sum, what is behind the last word 0.
// Returns the sum; `loss` is -log p of the target.
static double exponentials_of_row(
    bfloat16 *restrict row_V, const float *restrict bias_V, int64_t words, int64_t columns, int64_t target, float *loss
) {
    __m512 most = _mm512_set1_ps(-INFINITY);
    for (int64_t v = 0; v < words; v += LANES) {
        const __mmask16 lanes = first_lanes(words - v);
        most = _mm512_mask_max_ps(most, lanes, logits(lanes, row_V, bias_V, v), most);
    }
    const float max = _mm512_reduce_max_ps(most);
    const float at_target = widened(row_V[target]) + (bias_V ? bias_V[target] : 0.0f);
    double total = 0.0;
    for (int64_t start = 0; start < words; start += BLOCK) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t v = start; v < start + BLOCK && v < words; v += LANES) {
            const __mmask16 lanes = first_lanes(words - v);
            const __m512 x = _mm512_sub_ps(logits(lanes, row_V, bias_V, v), _mm512_set1_ps(max));
            const __m512 e = _mm512_maskz_mov_ps(lanes, power_of_two(_mm512_mul_ps(x, _mm512_set1_ps(LOG2_E))));
            sum = _mm512_add_ps(sum, e);
            store(row_V + v, lanes, e);
            _mm_prefetch(row_V + v + columns, _MM_HINT_T1);  // the next row, while this one keeps the arithmetic busy
        }
        total += (double)_mm512_reduce_add_ps(sum);
    }
    for (int64_t v = words; v < columns; v++) row_V[v] = 0;
    row_V[target] = narrowed(expf(at_target - max) - (float)total);
    *loss = max + logf((float)total) - at_target;
    return total;
}

// sums += scale x row
static void add_row(const bfloat16 *restrict row_V, int64_t words, float scale, float *restrict sums_V) {
    for (int64_t v = 0; v < words; v += LANES) {
        const __mmask16 lanes = first_lanes(words - v);
        const __m512 sum = _mm512_maskz_loadu_ps(lanes, sums_V + v);
        _mm512_mask_storeu_ps(sums_V + v, lanes, _mm512_fmadd_ps(load(lanes, row_V + v), _mm512_set1_ps(scale), sum));
    }
}

// The rows of a chunk, a negative target for those that do not count: their loss and scale are 0. `scale_C` is 1 / sum,
// by which each row has still to be multiplied. `parts_PV`, where there is a bias, gets its gradient, for `part` rows each.
void exponentials(
    int64_t threads, int64_t rows, int64_t words, int64_t columns, int64_t part, bfloat16 *restrict logits_CV,
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
            bfloat16 *row_V = logits_CV + c * columns;
            const int64_t target = target_C[c];
            const double sum = exponentials_of_row(row_V, bias_V, words, columns, target < 0 ? 0 : target, loss_C + c);
            const float scale = target < 0 ? 0.0f : (float)(1.0 / sum);
            scale_C[c] = scale;
            if (target < 0) loss_C[c] = 0.0f;
            if (sums_V) add_row(row_V, words, scale, sums_V);
        }
    }
}

// A matrix (rows, columns) in the order of its columns. A tile of rows stays in the cache while each column is taken out.
void in_columns(
    int64_t threads, int64_t rows, int64_t columns, const bfloat16 *restrict by_rows, bfloat16 *restrict by_columns
) {
    const int64_t tile = 64, tiles = (rows + tile - 1) / tile;
#pragma omp parallel for num_threads(threads)
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t end = (t + 1) * tile < rows ? (t + 1) * tile : rows;
        for (int64_t c = 0; c < columns; c++)
            for (int64_t r = t * tile; r < end; r++) by_columns[c * rows + r] = by_rows[r * columns + c];
    }
}
