// Causal attention of a training step on a processor, forward and backward: bfloat16 products summed in float32, one head
// after the other, whose keys, values and scores stay in the cache. attention.py calls it.
//
// Made of PyTorch's products it took a copy of queries, keys and values by head, the whole square of scores where half is
// seen, and several passes over them through memory. What is kept for the gradient here is two numbers a query; the
// scores are made again (Dao et al. 2022, FlashAttention, algorithm 4).
//
// Threads share the heads, and no sum depends on how many there are.
//
// Shapes: B rows, T tokens, H query heads, K key/value heads, E head width, X = H + 2 K. In packed matrices T and E are
// filled up with zeros to S and W, multiples of PANEL. Two bfloat16 neighbours along the dimension that a product sums
// over are a pair, one 32-bit number.

#include <string.h>

#include "lanes.h"

#define PANEL 32  // columns of a product that are made at once, and queries of a block
#define TILE 8    // rows that are made with them: 8 x 32 sums fill half of the registers

typedef uint32_t pair;

// The structures have their twins in attention.py.

typedef struct {
    const bfloat16 *data;
    int64_t row, head, token;  // strides
} View;

typedef struct {
    int64_t threads, B, T, H, K, E;
    int64_t window;  // a query sees so many keys, up to its own
    View q, k, v, dy;
    float *largest_BHT, *share_BHT;  // of a query's scores in base 2 the largest, and 1 / sum 2^(score - largest)
    char *memory;                    // attention_memory bytes for each thread
    float scale;
} Heads;

INLINE int64_t filled_up(int64_t size) { return (size + PANEL - 1) / PANEL * PANEL; }

static const bfloat16 *at(const View *from, int64_t row, int64_t head, int64_t token) {
    return from->data + row * from->row + head * from->head + token * from->token;
}

static void *taken(char **memory, int64_t bytes) {
    char *start = *memory;
    *memory += bytes;
    return start;
}

// C (rows, columns) = A B, or C += A B. A's pair p of row r is a[r a_row + p a_pair]; B is packed in panels of PANEL
// columns, pair after pair. Rows are a multiple of TILE, columns of PANEL.
static void product(
    int64_t rows, int64_t columns, int64_t pairs, const pair *restrict a, int64_t a_row, int64_t a_pair,
    const pair *restrict b, int64_t b_panel, float *restrict c, int64_t c_row, int add
) {
    for (int64_t column = 0; column < columns; column += PANEL, b += b_panel)
        for (int64_t row = 0; row < rows; row += TILE) {
            __m512 sums[TILE][2];
            float *tile = c + row * c_row + column;
            const pair *from = a + row * a_row;
            for (int r = 0; r < TILE; r++)
                for (int half = 0; half < 2; half++)
                    sums[r][half] = add ? _mm512_loadu_ps(tile + r * c_row + half * LANES) : _mm512_setzero_ps();
            for (int64_t p = 0; p < pairs; p++) {
                const __m512bh left = (__m512bh)_mm512_loadu_si512(b + p * PANEL);
                const __m512bh right = (__m512bh)_mm512_loadu_si512(b + p * PANEL + LANES);
#pragma GCC unroll 8
                for (int r = 0; r < TILE; r++) {
                    const __m512bh each = (__m512bh)_mm512_set1_epi32((int)from[r * a_row + p * a_pair]);
                    sums[r][0] = _mm512_dpbf16_ps(sums[r][0], each, left);
                    sums[r][1] = _mm512_dpbf16_ps(sums[r][1], each, right);
                }
            }
            for (int r = 0; r < TILE; r++)
                for (int half = 0; half < 2; half++) _mm512_storeu_ps(tile + r * c_row + half * LANES, sums[r][half]);
        }
}

// The first `count` of the next 32 numbers of a row, then zeros. Those of the next head follow after E, and are asked for
// early: rows lie too far apart for the processor to guess it (forward, 96 heads of 256 tokens: 2.2 instead of 2.8 ms).
INLINE __m512i numbers(const bfloat16 *from, int64_t count, int64_t E) {
    _mm_prefetch(from + E, _MM_HINT_T1);
    const __mmask32 exist = count >= 32 ? 0xFFFFFFFF : count <= 0 ? 0 : (1u << count) - 1;
    return _mm512_maskz_loadu_epi16(exist, from);
}

// 16 x 16 pairs: numbers of a row and of a column that differ in one bit change places, bit after bit.
INLINE void transpose(__m512i square[LANES]) {
    const __m512i column = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
#pragma GCC unroll 4
    for (int bit = 1; bit < LANES; bit *= 2) {
        const __mmask16 set = _mm512_test_epi32_mask(column, _mm512_set1_epi32(bit));
        const __m512i other = _mm512_xor_si512(column, _mm512_set1_epi32(bit));
#pragma GCC unroll 16
        for (int r = 0; r < LANES; r++)
            if (!(r & bit)) {
                const __m512i low = square[r], high = square[r | bit];
                square[r] = _mm512_mask_permutexvar_epi32(low, set, other, high);
                square[r | bit] = _mm512_mask_permutexvar_epi32(high, (__mmask16)~set, other, low);
            }
    }
}

// Tokens (T, E) as the columns of a product that sums over E: (S / PANEL, W / 2, PANEL).
static void pack_tokens(const bfloat16 *from, int64_t stride, int64_t T, int64_t E, pair *restrict to) {
    const int64_t pairs = filled_up(E) / 2;
    for (int64_t t = 0; t < filled_up(T); t += LANES)
        for (int64_t p = 0; p < pairs; p += LANES) {
            __m512i square[LANES];
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++)
                square[r] = numbers(from + (t + r) * stride + 2 * p, t + r < T ? E - 2 * p : 0, E);
            transpose(square);
            pair *panel = to + t / PANEL * pairs * PANEL + t % PANEL;
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) _mm512_storeu_si512(panel + (p + r) * PANEL, square[r]);
        }
}

// Two rows of 32 numbers as 32 pairs.
INLINE void pack_two(__m512i even, __m512i odd, pair *to) {
    const __m512i first = _mm512_set_epi16(
        47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0
    );
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    _mm512_storeu_si512(to, _mm512_permutex2var_epi16(even, first, odd));
    _mm512_storeu_si512(to + LANES, _mm512_permutex2var_epi16(even, second, odd));
}

// Tokens (T, E) as the rows of a product that sums over them: (W / PANEL, S / 2, PANEL).
static void pack_widths(const bfloat16 *from, int64_t stride, int64_t T, int64_t E, pair *restrict to) {
    const int64_t pairs = filled_up(T) / 2;
    for (int64_t p = 0; p < pairs; p++)
        for (int64_t e = 0; e < E; e += PANEL) {
            const bfloat16 *even = from + 2 * p * stride + e, *odd = even + stride;
            const int64_t count = E - e;
            pack_two(
                numbers(even, 2 * p < T ? count : 0, E), numbers(odd, 2 * p + 1 < T ? count : 0, E),
                to + e * pairs + p * PANEL
            );
        }
}

// A block of up to PANEL queries (T, E) with zeros around it: (PANEL, W).
static void pack_block(const bfloat16 *from, int64_t stride, int64_t T, int64_t E, bfloat16 *restrict to) {
    for (int64_t t = 0; t < PANEL; t++)
        for (int64_t e = 0; e < E; e += PANEL)
            _mm512_storeu_si512(to + t * filled_up(E) + e, numbers(from + t * stride + e, t < T ? E - e : 0, E));
}

// Sums (T, W) as bfloat16 (T, E), times `scale` and, where there are any, factors of each row.
static void write_rows(
    const float *from, int64_t T, int64_t E, float scale, const float *factor_T, bfloat16 *restrict to, int64_t stride
) {
    for (int64_t t = 0; t < T; t++)
        for (int64_t e = 0; e < E; e += LANES) {
            const __m512 factor = _mm512_set1_ps(factor_T ? scale * factor_T[t] : scale);
            const __m512 sum = _mm512_loadu_ps(from + t * filled_up(E) + e);
            store(to + t * stride + e, first_lanes(E - e), _mm512_mul_ps(sum, factor));
        }
}

// Which keys a block of queries looks at, whole panels of them, and which of these one of its queries sees.
typedef struct {
    int64_t first, stop;
} Span;

INLINE Span looked_at(const Heads *a, int64_t t) {
    const int64_t first = t + 1 - a->window;
    return (Span){first < 0 ? 0 : first / PANEL * PANEL, t + PANEL};
}

INLINE Span seen_by(const Heads *a, int64_t t, Span block) {
    const int64_t first = t + 1 - a->window - block.first;
    return (Span){first < 0 ? 0 : first, t + 1 - block.first};
}

INLINE __mmask16 lanes_of(Span seen, int64_t key) {
    return first_lanes(seen.stop - key) & (__mmask16)~first_lanes(seen.first - key);
}

INLINE float largest_score(const float *score, Span seen, float factor) {
    __m512 most = _mm512_set1_ps(-INFINITY);
    for (int64_t key = seen.first / LANES * LANES; key < seen.stop; key += LANES) {
        const __m512 x = _mm512_mul_ps(_mm512_loadu_ps(score + key), _mm512_set1_ps(factor));
        most = _mm512_mask_max_ps(most, lanes_of(seen, key), x, most);
    }
    return _mm512_reduce_max_ps(most);
}

// Scores become 2^(score x factor - largest) of the keys seen and 0 of the others. Returns their sum.
INLINE float exponentials(float *restrict score, int64_t keys, Span seen, float factor, float largest) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t key = 0; key < keys; key += LANES) {
        const __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(score + key), _mm512_set1_ps(factor), _mm512_set1_ps(largest));
        const __m512 e = _mm512_maskz_mov_ps(lanes_of(seen, key), power_of_two(x));
        _mm512_storeu_ps(score + key, e);
        sum = _mm512_add_ps(sum, e);
    }
    return _mm512_reduce_add_ps(sum);
}

INLINE void round_row(const float *from, float factor, int64_t keys, bfloat16 *restrict to) {
    for (int64_t key = 0; key < keys; key += LANES)
        store(to + key, 0xFFFF, _mm512_mul_ps(_mm512_loadu_ps(from + key), _mm512_set1_ps(factor)));
}

// ds = p (dp - sum p dp), where p = e x share.
INLINE void scores_gradient(const float *e, const float *dp, int64_t keys, float share, bfloat16 *restrict ds) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t key = 0; key < keys; key += LANES)
        sum = _mm512_fmadd_ps(_mm512_loadu_ps(e + key), _mm512_loadu_ps(dp + key), sum);
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) * share);
    for (int64_t key = 0; key < keys; key += LANES) {
        const __m512 p = _mm512_mul_ps(_mm512_loadu_ps(e + key), _mm512_set1_ps(share));
        store(ds + key, 0xFFFF, _mm512_mul_ps(p, _mm512_sub_ps(_mm512_loadu_ps(dp + key), mean)));
    }
}

// y (T, H, E) of one row, for the query heads of one key/value head.
static void attend(const Heads *a, int64_t row, int64_t kv, bfloat16 *y_THE, char *memory) {
    const int64_t T = a->T, E = a->E, H = a->H, group = H / a->K, S = filled_up(T), W = filled_up(E);
    const float factor = a->scale * LOG2_E;
    pair *k_columns = taken(&memory, 2 * S * W), *v_rows = taken(&memory, 2 * S * W);
    float *scores = taken(&memory, 4 * PANEL * S), *sums = taken(&memory, 4 * PANEL * W);
    bfloat16 *p = taken(&memory, 2 * PANEL * S), *q = taken(&memory, 2 * PANEL * W);
    pack_tokens(at(&a->k, row, kv, 0), a->k.token, T, E, k_columns);
    pack_widths(at(&a->v, row, kv, 0), a->v.token, T, E, v_rows);
    for (int64_t h = kv * group; h < (kv + 1) * group; h++)
        for (int64_t t = 0; t < T; t += PANEL) {
            const Span block = looked_at(a, t);
            const int64_t queries = T - t < PANEL ? T - t : PANEL, keys = block.stop - block.first;
            float *largest = a->largest_BHT + (row * H + h) * T + t, *share = a->share_BHT + (row * H + h) * T + t;
            pack_block(at(&a->q, row, h, t), a->q.token, queries, E, q);
            product(PANEL, keys, W / 2, (pair *)q, W / 2, 1, k_columns + block.first * W / 2, PANEL * W / 2, scores, S, 0);
            for (int64_t r = 0; r < queries; r++) {
                const Span seen = seen_by(a, t + r, block);
                largest[r] = largest_score(scores + r * S, seen, factor);
                share[r] = 1.0f / exponentials(scores + r * S, keys, seen, factor, largest[r]);
                round_row(scores + r * S, 1.0f, keys, p + r * S);
            }
            product(PANEL, W, keys / 2, (pair *)p, S / 2, 1, v_rows + block.first / 2 * PANEL, PANEL * S / 2, sums, W, 0);
            write_rows(sums, queries, E, 1.0f, share, y_THE + (t * H + h) * E, H * E);
        }
}

// Gradients (T, X, E) of one row: those of the query heads of one key/value head, and of its keys and values.
static void attend_back(const Heads *a, int64_t row, int64_t kv, bfloat16 *d_TXE, char *memory) {
    const int64_t T = a->T, E = a->E, H = a->H, group = H / a->K, S = filled_up(T), W = filled_up(E);
    const int64_t stride = (H + 2 * a->K) * E;
    const float factor = a->scale * LOG2_E;
    pair *k_columns = taken(&memory, 2 * S * W), *v_columns = taken(&memory, 2 * S * W), *k_rows = taken(&memory, 2 * S * W);
    float *dk = taken(&memory, 4 * S * W), *dv = taken(&memory, 4 * S * W);
    float *scores = taken(&memory, 4 * PANEL * S), *dp = taken(&memory, 4 * PANEL * S);
    bfloat16 *p = taken(&memory, 2 * PANEL * S), *ds = taken(&memory, 2 * PANEL * S);
    pair *p_pairs = taken(&memory, 2 * PANEL * S), *ds_pairs = taken(&memory, 2 * PANEL * S);
    bfloat16 *q = taken(&memory, 2 * PANEL * W), *dy = taken(&memory, 2 * PANEL * W);
    pair *q_rows = taken(&memory, 2 * PANEL * W), *dy_rows = taken(&memory, 2 * PANEL * W);
    float *sums = taken(&memory, 4 * PANEL * W);
    pack_tokens(at(&a->k, row, kv, 0), a->k.token, T, E, k_columns);
    pack_tokens(at(&a->v, row, kv, 0), a->v.token, T, E, v_columns);
    pack_widths(at(&a->k, row, kv, 0), a->k.token, T, E, k_rows);
    memset(dk, 0, 4 * S * W);
    memset(dv, 0, 4 * S * W);
    for (int64_t h = kv * group; h < (kv + 1) * group; h++)
        for (int64_t t = 0; t < T; t += PANEL) {
            const Span block = looked_at(a, t);
            const int64_t queries = T - t < PANEL ? T - t : PANEL, keys = block.stop - block.first;
            const float *largest = a->largest_BHT + (row * H + h) * T + t, *share = a->share_BHT + (row * H + h) * T + t;
            pack_block(at(&a->q, row, h, t), a->q.token, queries, E, q);
            pack_block(at(&a->dy, row, h, t), a->dy.token, queries, E, dy);
            pack_widths(q, W, PANEL, W, q_rows);
            pack_widths(dy, W, PANEL, W, dy_rows);
            product(PANEL, keys, W / 2, (pair *)q, W / 2, 1, k_columns + block.first * W / 2, PANEL * W / 2, scores, S, 0);
            product(PANEL, keys, W / 2, (pair *)dy, W / 2, 1, v_columns + block.first * W / 2, PANEL * W / 2, dp, S, 0);
            for (int64_t r = 0; r < queries; r++) {
                exponentials(scores + r * S, keys, seen_by(a, t + r, block), factor, largest[r]);
                round_row(scores + r * S, share[r], keys, p + r * S);
                scores_gradient(scores + r * S, dp + r * S, keys, share[r], ds + r * S);
            }
            memset(p + queries * S, 0, 2 * (PANEL - queries) * S);
            memset(ds + queries * S, 0, 2 * (PANEL - queries) * S);
            pack_widths(p, S, PANEL, keys, p_pairs);
            pack_widths(ds, S, PANEL, keys, ds_pairs);
            product(PANEL, W, keys / 2, (pair *)ds, S / 2, 1, k_rows + block.first / 2 * PANEL, PANEL * S / 2, sums, W, 0);
            write_rows(sums, queries, E, a->scale, 0, d_TXE + t * stride + h * E, stride);
            for (int64_t key = 0; key < keys; key += PANEL) {
                float *dk_panel = dk + (block.first + key) * W, *dv_panel = dv + (block.first + key) * W;
                const int64_t panel = key * PANEL / 2;
                product(PANEL, W, PANEL / 2, ds_pairs + panel, 1, PANEL, q_rows, PANEL * PANEL / 2, dk_panel, W, 1);
                product(PANEL, W, PANEL / 2, p_pairs + panel, 1, PANEL, dy_rows, PANEL * PANEL / 2, dv_panel, W, 1);
            }
        }
    write_rows(dk, T, E, a->scale, 0, d_TXE + (H + kv) * E, stride);
    write_rows(dv, T, E, 1.0f, 0, d_TXE + (H + a->K + kv) * E, stride);
}

// Bytes that a thread works in; the gradient takes the most.
int64_t attention_memory(int64_t T, int64_t E) {
    const int64_t S = filled_up(T), W = filled_up(E);
    return 14 * S * W + 16 * PANEL * S + 12 * PANEL * W;
}

// Makes y (B, T, H, E), and what its gradient needs: largest and share.
void attention(const Heads *a, bfloat16 *y_BTHE) {
    const int64_t num = a->B * a->K, row = a->T * a->H * a->E, bytes = attention_memory(a->T, a->E);
#pragma omp parallel for num_threads(a->threads) schedule(static)
    for (int64_t thread = 0; thread < a->threads; thread++)
        for (int64_t i = thread * num / a->threads; i < (thread + 1) * num / a->threads; i++)
            attend(a, i / a->K, i % a->K, y_BTHE + i / a->K * row, a->memory + thread * bytes);
}

// Makes the gradients of q, k and v (B, T, X, E) from that of y.
void attention_gradient(const Heads *a, bfloat16 *d_BTXE) {
    const int64_t num = a->B * a->K, row = a->T * (a->H + 2 * a->K) * a->E, bytes = attention_memory(a->T, a->E);
#pragma omp parallel for num_threads(a->threads) schedule(static)
    for (int64_t thread = 0; thread < a->threads; thread++)
        for (int64_t i = thread * num / a->threads; i < (thread + 1) * num / a->threads; i++)
            attend_back(a, i / a->K, i % a->K, d_BTXE + i / a->K * row, a->memory + thread * bytes);
}
