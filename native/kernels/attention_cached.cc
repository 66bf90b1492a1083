// Attention over key/value caches: every row reads its own slot, so a row is computed the same way in any batch.
#include <math.h>

#include "attention.h"
#include "rows.h"

namespace ISA_NS {
namespace {

float dot(const float* a, const float* b, int64_t n) {
  vf sum = {};
  int64_t i = 0;
  for (; i + W <= n; i += W) sum += load(a + i) * load(b + i);
  if (i < n) sum += load_partial(a + i, n - i) * load_partial(b + i, n - i);
  return reduce_add(sum);
}

void cached_row(float* out, const float* keys, const float* values, const float* query, int64_t row_stride,
                int64_t count, int64_t dim, float scale) {
  float* scores = static_cast<float*>(memory::scratch(Slot::a, (count + W) * 4));
  float top = kMasked;
  for (int64_t j = 0; j < count; j++) {
    scores[j] = dot(query, keys + j * row_stride, dim) * scale;
    top = fmaxf(top, scores[j]);
  }
  for (int64_t j = count; j < count + W; j++) scores[j] = kMasked;
  vf sum = {};
  for (int64_t j = 0; j < count; j += W) {
    const vf p = vexp2_of_low((load(scores + j) - splat(top)) * kLog2E);
    store(scores + j, p);
    sum += p;
  }
  const float inverse = 1.0f / reduce_add(sum);
  for (int64_t i = 0; i < dim; i += W) {
    const int64_t width = dim - i < W ? dim - i : W;
    vf acc = {};
    for (int64_t j = 0; j < count; j++) {
      const float* value = values + j * row_stride + i;
      acc += splat(scores[j]) * load_up_to(value, width);
    }
    store_up_to(out + i, acc * splat(inverse), width);
  }
}

void cached(float* out, float* key_cache, float* value_cache, const float* qkv, const int32_t* slots,
            const int32_t* positions, const AttentionShape& shape, int64_t cache_length, float scale) {
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
    const int64_t at = slots[r] * cache_length * row + g * dim;
    for (int64_t h = g * group; h < (g + 1) * group; h++)
      cached_row(out + (r * shape.heads + h) * dim, key_cache + at, value_cache + at, qkv + r * columns + h * dim, row,
                 positions[r] + 1, dim, scale);
  });
}

}  // namespace

void fill_attention_cached(KernelTable& table) { table.attention.cached = cached; }

}  // namespace ISA_NS
