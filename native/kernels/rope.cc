// Clamping of q, k and v and rotary positions (Su et al. 2021) in the NeoX layout: column i pairs with i + P/2.
#include "families.h"
#include "rows.h"

namespace ISA_NS {
namespace {

// (x, y) -> (x cos - y sin, y cos + x sin); the inverse turns the other way.
ALWAYS_INLINE void rotate(float* __restrict row, const float* __restrict cos, const float* __restrict sin, int64_t half,
                          bool inverse) {
  float* __restrict upper = row + half;
  for (int64_t i = 0; i < half; i++) {
    const float s = inverse ? -sin[i] : sin[i];
    const float x = row[i], y = upper[i];
    row[i] = x * cos[i] - y * s;
    upper[i] = y * cos[i] + x * s;
  }
}

// 1 where a value lies strictly within the bounds; without branches, or it is not vectorised.
ALWAYS_INLINE void mark_inside(uint8_t* __restrict mask, const float* __restrict row, int64_t columns, float clip) {
  const float bound = clip == 0.0f ? __builtin_inff() : clip;
  for (int64_t i = 0; i < columns; i++) mask[i] = static_cast<uint8_t>((row[i] > -bound) & (row[i] < bound));
}

void forward(float* qkv, uint8_t* mask, const int32_t* positions, const float* cos, const float* sin, int64_t rows,
             int64_t heads, int64_t kv_heads, int64_t head_dim, float clip) {
  const int64_t columns = (heads + 2 * kv_heads) * head_dim, half = head_dim / 2;
  for_rows(rows, columns, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      float* row = qkv + r * columns;
      if (mask) mark_inside(mask + r * columns, row, columns, clip);
      if (clip != 0.0f)
        for (int64_t i = 0; i < columns; i++) {
          const float low = row[i] < -clip ? -clip : row[i];
          row[i] = low > clip ? clip : low;
        }
      const int64_t at = positions[r] * half;
      for (int64_t h = 0; h < heads + kv_heads; h++) rotate(row + h * head_dim, cos + at, sin + at, half, false);
    }
  });
}

void backward(float* dqkv, const uint8_t* mask, const int32_t* positions, const float* cos, const float* sin,
              int64_t rows, int64_t heads, int64_t kv_heads, int64_t head_dim) {
  const int64_t columns = (heads + 2 * kv_heads) * head_dim, half = head_dim / 2;
  for_rows(rows, columns, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      float* row = dqkv + r * columns;
      const int64_t at = positions[r] * half;
      for (int64_t h = 0; h < heads + kv_heads; h++) rotate(row + h * head_dim, cos + at, sin + at, half, true);
      if (!mask) continue;
      const uint8_t* own = mask + r * columns;
      for (int64_t i = 0; i < columns; i++) row[i] = own[i] ? row[i] : 0.0f;
    }
  });
}

}  // namespace

void fill_rope(KernelTable& table) { table.rope = {forward, backward}; }

}  // namespace ISA_NS
