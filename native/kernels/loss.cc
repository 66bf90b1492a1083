// Softmax and cross-entropy over rows.
#include <cmath>

#include "families.h"
#include "rows.h"

namespace ISA_NS {
namespace {

// Rows up to this length stay in cache between the passes, and the next one is fetched in the second.
constexpr int64_t kFetchedDim = 1 << 15;

ALWAYS_INLINE float highest_of(const float* x, int64_t n) {
  vf top[4] = {splat(x[0]), splat(x[0]), splat(x[0]), splat(x[0])};
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int v = 0; v < 4; v++) top[v] = vmax(top[v], load(x + i + v * W));
  for (; i + W <= n; i += W) top[0] = vmax(top[0], load(x + i));
  float best = reduce_max(vmax(vmax(top[0], top[1]), vmax(top[2], top[3])));
  for (; i < n; i++) best = x[i] > best ? x[i] : best;
  return best;
}

// y = exp(x - highest); returns the sum. y may be x; it is written where kept.
template <bool keep>
ALWAYS_INLINE float exponentials(float* y, const float* x, int64_t n, float highest) {
  const int64_t ahead = n <= kFetchedDim ? n : 0;
  const vf shift = splat(highest);
  vf total = {};
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    __builtin_prefetch(x + ahead + i, 0, 2);
    const vf e = vexp2_of_low((load(x + i) - shift) * kLog2E);
    if (keep) store(y + i, e);
    total += e;
  }
  if (i < n) {
    vf e = vexp2_of_low((load_partial(x + i, n - i) - shift) * kLog2E);
    e = load_partial(reinterpret_cast<float*>(&e), n - i);
    if (keep) store_partial(y + i, e, n - i);
    total += e;
  }
  return reduce_add(total);
}

void cross_entropy(float* losses, float* logits, const int32_t* targets, int64_t rows, int64_t vocab,
                   float grad_scale) {
  for_rows(rows, vocab, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      float* row = logits + r * vocab;
      const int32_t target = targets[r];
      if (target < 0) {
        losses[r] = 0.0f;
        if (grad_scale != 0.0f)
          for (int64_t i = 0; i < vocab; i++) row[i] = 0.0f;
        continue;
      }
      const float highest = highest_of(row, vocab), own = row[target];
      const float total = grad_scale != 0.0f ? exponentials<true>(row, row, vocab, highest)
                                             : exponentials<false>(nullptr, row, vocab, highest);
      losses[r] = logf(total) + (highest - own);
      if (grad_scale == 0.0f) continue;
      const float factor = grad_scale / total;
      for (int64_t i = 0; i < vocab; i++) row[i] *= factor;
      row[target] -= grad_scale;
    }
  });
}

void softmax(float* y, const float* x, int64_t rows, int64_t dim) {
  for_rows(rows, 2 * dim, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      float* out = y + r * dim;
      const float total = exponentials<true>(out, x + r * dim, dim, highest_of(x + r * dim, dim));
      const float factor = 1.0f / total;
      for (int64_t i = 0; i < dim; i++) out[i] *= factor;
    }
  });
}

void softmax_backward(float* dx, const float* dy, const float* y, int64_t rows, int64_t dim, bool accumulate) {
  for_rows(rows, 3 * dim, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float *g = dy + r * dim, *p = y + r * dim;
      float* out = dx + r * dim;
      const float dot = sum_over(dim, [&](int64_t i, int64_t count) { return load_up_to(g + i, count) * load_up_to(p + i, count); });
      if (accumulate)
        for (int64_t i = 0; i < dim; i++) out[i] += p[i] * (g[i] - dot);
      else
        for (int64_t i = 0; i < dim; i++) out[i] = p[i] * (g[i] - dot);
    }
  });
}

}  // namespace

void fill_loss(KernelTable& table) { table.loss = {cross_entropy, softmax, softmax_backward}; }

}  // namespace ISA_NS
