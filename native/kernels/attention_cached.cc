// Attention over key/value caches: every row reads its own slot, so a row is computed the same way in any batch.
#include <math.h>

#include "attention.h"
#include "rows.h"

namespace ISA_NS {
namespace {

constexpr int64_t kKeysAhead = 2 * W;  // of keys and values, which lie far apart

ALWAYS_INLINE void fetch_row(const float* row, int64_t dim) {
  for (int64_t i = 0; i < dim; i += 16) __builtin_prefetch(row + i);
}

// The sums of W vectors' lanes, each added up in the order of reduce_add.
ALWAYS_INLINE vf reduce_each(vf (&square)[W]) {
  exchange_squares<W / 2>(square);
#pragma GCC unroll 8
  for (int half = W / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < half; i++) square[i] += square[i + half];
  return square[0];
}

// scores[j] = query · key j, scaled, for `count` keys; masked behind them up to a whole vector. @returns the highest
float score_keys(float* scores, const float* query, const float* keys, int64_t row_stride, int64_t count, int64_t dim, float scale,
                 bool fetched) {
  vf top = splat(kMasked);
  for (int64_t j = 0; j < count; j += W) {
    const float* row[W];
#pragma GCC unroll 16
    for (int k = 0; k < W; k++) {
      row[k] = keys + min64(j + k, count - 1) * row_stride;
      if (!fetched && j + k + kKeysAhead < count) fetch_row(row[k] + kKeysAhead * row_stride, dim);
    }
    vf sums[W] = {};
    int64_t i = 0;
    for (; i + W <= dim; i += W) {
      const vf q = load(query + i);
#pragma GCC unroll 16
      for (int k = 0; k < W; k++) sums[k] += q * load(row[k] + i);
    }
    if (i < dim) {
      const vf q = load_partial(query + i, dim - i);
#pragma GCC unroll 16
      for (int k = 0; k < W; k++) sums[k] += q * load_partial(row[k] + i, dim - i);
    }
    vf all = reduce_each(sums) * splat(scale);
    if (j + W > count) {
      store(scores + j, all);
      for (int64_t k = count; k < j + W; k++) scores[k] = kMasked;
      all = load(scores + j);
    }
    store(scores + j, all);
    top = vmax(all, top);
  }
  return reduce_max(top);
}

// Scores changed in place; masked behind them, as they were. @returns the highest
float change_cached(float* scores, int64_t count, const ScoreChange& change, int64_t head) {
  vf lane, top = splat(kMasked);
  for (int i = 0; i < W; i++) lane[i] = static_cast<float>(i);
  for (int64_t j = 0; j < count; j += W) {
    vf s = load(scores + j);
    if (change.slopes) s += change.slopes[head] * (lane + static_cast<float>(j + 1 - count));
    else s = change.cap * vtanh(s * (1.0f / change.cap));
    store(scores + j, s);
    for (int64_t k = count; k < j + W; k++) scores[k] = kMasked;
    top = vmax(load(scores + j), top);
  }
  return reduce_max(top);
}

// Scores to unnormalised probabilities. @returns 1 / their sum
float soften(float* scores, int64_t count, float top) {
  vf sum = {};
  for (int64_t j = 0; j < count; j += W) {
    const vf p = vexp2_of_low((load(scores + j) - splat(top)) * kLog2E);
    store(scores + j, p);
    sum += p;
  }
  return 1.0f / reduce_add(sum);
}

// Vectors vectors, or the first `width` lanes of one, of the outputs of Heads heads over the same values.
template <int Heads, int Vectors>
void mix_values(float* out, const float* values, const float* scores, int64_t scores_stride, const float* inverse, int64_t row_stride,
                int64_t count, int64_t dim, int64_t width) {
  vf acc[Heads][Vectors] = {};
  for (int64_t j = 0; j < count; j++, values += row_stride) {
    if (j + kKeysAhead < count)
      for (int v = 0; v < Vectors; v++) __builtin_prefetch(values + kKeysAhead * row_stride + v * W);
    vf value[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; v++) value[v] = Vectors > 1 ? load(values + v * W) : load_up_to(values, width);
#pragma GCC unroll 8
    for (int h = 0; h < Heads; h++) {
      const vf p = splat(scores[h * scores_stride + j]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; v++) acc[h][v] += p * value[v];
    }
  }
  for (int h = 0; h < Heads; h++)
    for (int v = 0; v < Vectors; v++) {
      float* to = out + h * dim + v * W;
      if (Vectors > 1) store(to, acc[h][v] * splat(inverse[h]));
      else store_up_to(to, acc[h][v] * splat(inverse[h]), width);
    }
}

// Heads heads of one row that share keys and values, which are read from memory once.
template <int Heads>
void cached_heads(float* out, const float* keys, const float* values, const float* query, int64_t row_stride, int64_t count,
                  int64_t dim, float scale, const ScoreChange& change, int64_t head) {
  constexpr int kVectors = Heads > 2 ? 2 : 8 / Heads;
  const int64_t stride = count + W;
  float* scores = static_cast<float*>(memory::scratch(Slot::a, Heads * stride * 4));
  float inverse[Heads];
  for (int h = 0; h < Heads; h++) {
    float top = score_keys(scores + h * stride, query + h * dim, keys, row_stride, count, dim, scale, h > 0);
    if (changes(change)) top = change_cached(scores + h * stride, count, change, head + h);
    inverse[h] = soften(scores + h * stride, count, top);
  }
  int64_t i = 0;
  for (; i + kVectors * W <= dim; i += kVectors * W)
    mix_values<Heads, kVectors>(out + i, values + i, scores, stride, inverse, row_stride, count, dim, W);
  for (; i < dim; i += W)
    mix_values<Heads, 1>(out + i, values + i, scores, stride, inverse, row_stride, count, dim, min64(W, dim - i));
}

using CachedHeads = void (*)(float*, const float*, const float*, const float*, int64_t, int64_t, int64_t, float,
                             const ScoreChange&, int64_t);
constexpr CachedHeads kCachedHeads[] = {cached_heads<1>, cached_heads<2>, cached_heads<3>, cached_heads<4>};
constexpr int64_t kMostHeads = 4;  // at once: more sums would not fit the registers

void cached(float* out, float* key_cache, float* value_cache, const float* qkv, const int32_t* slots,
            const int32_t* positions, const AttentionShape& shape, int64_t cache_length, float scale, int64_t window) {
  const int64_t dim = shape.head_dim, row = shape.kv_heads * dim, columns = (shape.heads + 2 * shape.kv_heads) * dim;
  for (int64_t r = 0; r < shape.rows; r++) {
    const float* key = qkv + r * columns + shape.heads * dim;
    const int64_t at = (slots[r] * cache_length + positions[r]) * row;
    memcpy(key_cache + at, key, static_cast<size_t>(row) * 4);
    memcpy(value_cache + at, key + row, static_cast<size_t>(row) * 4);
  }
  const int64_t group = shape.heads / shape.kv_heads;
  pool::parallel_for(shape.rows * shape.kv_heads, [&](int64_t piece) {
    const int64_t r = piece / shape.kv_heads, g = piece % shape.kv_heads;
    const int64_t seen = positions[r] + int64_t{1}, count = window > 0 ? min64(seen, window) : seen;
    const int64_t at = (slots[r] * cache_length + seen - count) * row + g * dim;
    for (int64_t h = g * group, heads; h < (g + 1) * group; h += heads) {
      heads = min64(kMostHeads, (g + 1) * group - h);
      kCachedHeads[heads - 1](out + (r * shape.heads + h) * dim, key_cache + at, value_cache + at, qkv + r * columns + h * dim, row, count,
                              dim, scale, shape.scores, h);
    }
  });
}

}  // namespace

void fill_attention_cached(KernelTable& table) { table.attention.cached = cached; }

}  // namespace ISA_NS
