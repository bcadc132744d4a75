// What a decoder computes of a token, for WebAssembly with SIMD: int8 weights, one scale a row, float32 for all else.
// No library: what C's would give (exp, tanh, erf) stands below. decoder.js says in which order all this is called.
//
// Built by `python -m fabula.exchange.html.build`, which keeps kernels.wasm beside it.

#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static float sum_of(v128_t x) {
  return wasm_f32x4_extract_lane(x, 0) + wasm_f32x4_extract_lane(x, 1) + wasm_f32x4_extract_lane(x, 2) +
         wasm_f32x4_extract_lane(x, 3);
}

// clang 14 joins a widening and a conversion into one, which it then does lane by lane, four times as slow: it is not to see
// where the integers come from.
static v128_t floats_of(v128_t integers) {
  __asm__("" : "+r"(integers));
  return wasm_f32x4_convert_i32x4(integers);
}

// Sixteen weights as four times four floats.
static void widen(const int8_t *weights, v128_t out[4]) {
  v128_t bytes = wasm_v128_load(weights);
  v128_t low = wasm_i16x8_extend_low_i8x16(bytes), high = wasm_i16x8_extend_high_i8x16(bytes);
  out[0] = floats_of(wasm_i32x4_extend_low_i16x8(low));
  out[1] = floats_of(wasm_i32x4_extend_high_i16x8(low));
  out[2] = floats_of(wasm_i32x4_extend_low_i16x8(high));
  out[3] = floats_of(wasm_i32x4_extend_high_i16x8(high));
}

// Two running sums a row, however many tokens there are: read alone or among others, a token gets the same last digit, so
// what stands in the caches does not depend on how it came there.
static float dot_int8(const int8_t *weights, const float *x, int n) {
  v128_t sums[2] = {wasm_f32x4_const_splat(0), wasm_f32x4_const_splat(0)};
  int i = 0;
  for (; i + 16 <= n; i += 16) {
    v128_t wide[4];
    widen(weights + i, wide);
    for (int part = 0; part < 4; part++)
      sums[part & 1] = wasm_f32x4_add(sums[part & 1], wasm_f32x4_mul(wide[part], wasm_v128_load(x + i + 4 * part)));
  }
  float sum = sum_of(wasm_f32x4_add(sums[0], sums[1]));
  for (; i < n; i++) sum += weights[i] * x[i];
  return sum;
}

// The same row of weights with four tokens, widened once for all.
static void dot_int8_four(const int8_t *weights, const float *x, int n, float out[4]) {
  v128_t sums[8];
  for (int each = 0; each < 8; each++) sums[each] = wasm_f32x4_const_splat(0);
  int i = 0;
  for (; i + 16 <= n; i += 16) {
    v128_t wide[4];
    widen(weights + i, wide);
    for (int token = 0; token < 4; token++)
      for (int part = 0; part < 4; part++) {
        v128_t *sum = &sums[2 * token + (part & 1)];
        *sum = wasm_f32x4_add(*sum, wasm_f32x4_mul(wide[part], wasm_v128_load(x + token * n + i + 4 * part)));
      }
  }
  for (int token = 0; token < 4; token++) {
    out[token] = sum_of(wasm_f32x4_add(sums[2 * token], sums[2 * token + 1]));
    for (int rest = i; rest < n; rest++) out[token] += weights[rest] * x[token * n + rest];
  }
}

// out (tokens, rows) = x (tokens, columns) times weights (rows, columns), transposed. `bias` may be 0.
EXPORT(matmul)
void matmul(float *out, const float *x, const int8_t *weights, const float *scales, const float *bias, int rows,
            int columns, int tokens) {
  for (int row = 0; row < rows; row++) {
    const int8_t *of_row = weights + (long)row * columns;
    float constant = bias ? bias[row] : 0;
    int token = 0;
    for (; token + 4 <= tokens; token += 4) {
      float sums[4];
      dot_int8_four(of_row, x + token * columns, columns, sums);
      for (int each = 0; each < 4; each++) out[(token + each) * rows + row] = sums[each] * scales[row] + constant;
    }
    for (; token < tokens; token++)
      out[token * rows + row] = dot_int8(of_row, x + token * columns, columns) * scales[row] + constant;
  }
}

// out = (out if `add`, else 0) + factor * one row of a table.
EXPORT(look_up)
void look_up(float *out, const int8_t *row, float scale, float factor, int n, int add) {
  for (int i = 0; i < n; i++) out[i] = (add ? out[i] : 0) + row[i] * scale * factor;
}

EXPORT(add)
void add(float *out, const float *x, int n) {
  for (int i = 0; i < n; i++) out[i] += x[i];
}

// out += weight * x, number by number.
EXPORT(add_weighted)
void add_weighted(float *out, const float *weight, const float *x, int n) {
  for (int i = 0; i < n; i++) out[i] += weight[i] * x[i];
}

// Each row of x by itself: LayerNorm if `centred`, else RMSNorm. `weight` and `bias` may be 0; `out` may be `x`.
EXPORT(norm)
void norm(float *out, const float *x, const float *weight, const float *bias, int rows, int n, float epsilon,
          int centred) {
  for (int row = 0; row < rows; row++, out += n, x += n) {
    float mean = 0, squares = 0;
    if (centred) {
      for (int i = 0; i < n; i++) mean += x[i];
      mean /= n;
    }
    for (int i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    float factor = 1 / __builtin_sqrtf(squares / n + epsilon);
    for (int i = 0; i < n; i++) {
      float y = (x[i] - mean) * factor;
      out[i] = (weight ? y * weight[i] : y) + (bias ? bias[i] : 0);
    }
  }
}

// Rotary positions on the halves of each head. `cosine` and `sine` hold half a head for the token's position.
EXPORT(rotate)
void rotate(float *x, const float *cosine, const float *sine, int heads, int width) {
  int half = width / 2;
  for (int head = 0; head < heads; head++, x += width)
    for (int i = 0; i < half; i++) {
      float first = x[i], second = x[half + i];
      x[i] = first * cosine[i] - second * sine[i];
      x[half + i] = second * cosine[i] + first * sine[i];
    }
}

// exp in double precision: x = k ln 2 + r with |r| <= ln 2 / 2, e^r by its series, of which the 12th term is below 1e-14.
static double exp_of(double x) {
  static const double series[] = {1. / 39916800, 1. / 3628800, 1. / 362880, 1. / 40320, 1. / 5040, 1. / 720,
                                  1. / 120,      1. / 24,      1. / 6,      1. / 2,     1.,        1.};
  if (x > 700) return __builtin_inf();
  if (x < -700) return 0;
  if (x != x) return x;
  double k = __builtin_floor(x * 1.4426950408889634 + 0.5);
  double r = x - k * 0.6931471805599453, sum = 0;
  for (int term = 0; term < 12; term++) sum = sum * r + series[term];
  union { int64_t bits; double value; } power = {((int64_t)k + 1023) << 52};
  return sum * power.value;
}

static double tanh_of(double x) { return 1 - 2 / (exp_of(2 * x) + 1); }

// erf by a series of positive terms (Abramowitz and Stegun 7.1.6); beyond 5 it is 1 but for 2e-12.
static double erf_of(double x) {
  double size = __builtin_fabs(x);
  if (size > 5) return x > 0 ? 1 : -1;
  double term = size, sum = size;
  for (int n = 1; term > 1e-12 * sum; n++) {
    term *= 2 * size * size / (2 * n + 1);
    sum += term;
  }
  sum *= 1.1283791670955126 * exp_of(-size * size);
  return x > 0 ? sum : -sum;
}

enum { RELU, RELU_SQUARED, GELU, GELU_TANH, SILU };

static float activation(float x, int kind) {
  switch (kind) {
    case RELU: return x > 0 || x != x ? x : 0;
    case RELU_SQUARED: return x > 0 || x != x ? x * x : 0;
    case GELU: return 0.5 * x * (1 + erf_of(x * 0.7071067811865476));
    case GELU_TANH: return 0.5 * x * (1 + tanh_of(0.7978845608028654 * (x + 0.044715 * (double)x * x * x)));
    default: return x / (1 + exp_of(-x));
  }
}

// out (tokens, n) of x (tokens, n), or of gates and values (tokens, 2 n) if `gated`.
EXPORT(activate)
void activate(float *out, const float *x, int kind, int gated, int tokens, int n) {
  for (int token = 0; token < tokens; token++, out += n, x += gated ? 2 * n : n)
    for (int i = 0; i < n; i++) out[i] = activation(x[i], kind) * (gated ? x[n + i] : 1);
}

static float dot(const float *a, const float *b, int n) {
  v128_t sums = wasm_f32x4_const_splat(0);
  int i = 0;
  for (; i + 4 <= n; i += 4) sums = wasm_f32x4_add(sums, wasm_f32x4_mul(wasm_v128_load(a + i), wasm_v128_load(b + i)));
  float sum = sum_of(sums);
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

// One token's attention: each head of `queries` over `slots` keys and values (slots, kv_heads, width). `scores` has
// room for one head's.
EXPORT(attend)
void attend(float *out, const float *queries, const float *keys, const float *values, float *scores, int heads,
            int kv_heads, int width, int slots, float scale) {
  int stride = kv_heads * width;
  for (int head = 0; head < heads; head++, out += width, queries += width) {
    int offset = head / (heads / kv_heads) * width;
    float largest = -__builtin_inff();
    for (int slot = 0; slot < slots; slot++) {
      scores[slot] = dot(queries, keys + slot * stride + offset, width) * scale;
      if (scores[slot] > largest) largest = scores[slot];
    }
    double total = 0;
    for (int slot = 0; slot < slots; slot++) total += scores[slot] = exp_of(scores[slot] - largest);
    for (int i = 0; i < width; i++) out[i] = 0;
    for (int slot = 0; slot < slots; slot++) {
      float share = scores[slot] / total;
      const float *value = values + slot * stride + offset;
      for (int i = 0; i < width; i++) out[i] += share * value[i];
    }
  }
}

// Logits become cap * tanh(logits / cap).
EXPORT(cap)
void cap(float *logits, float cap, int n) {
  for (int i = 0; i < n; i++) logits[i] = cap * tanh_of(logits[i] / cap);
}

// Probabilities of logits / temperature. What is not finite makes all of them so.
EXPORT(softmax)
void softmax(float *out, const float *logits, int n, float temperature) {
  float largest = -__builtin_inff();
  for (int i = 0; i < n; i++)
    if (logits[i] > largest) largest = logits[i];
  double total = 0;
  for (int i = 0; i < n; i++) total += out[i] = exp_of((logits[i] - largest) / temperature);
  for (int i = 0; i < n; i++) out[i] /= total;
}
