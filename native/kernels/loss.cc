// Softmax and cross-entropy over rows.
#include <cmath>

#include "families.h"
#include "rows.h"

namespace ISA_NS {
namespace {

ALWAYS_INLINE float highest_of(const float* x, int64_t n) {
  vf top = splat(x[0]);
  int64_t i = 0;
  for (; i + W <= n; i += W) top = vmax(top, load(x + i));
  float best = reduce_max(top);
  for (; i < n; i++) best = x[i] > best ? x[i] : best;
  return best;
}

// y = exp(x - highest); returns the sum. y may be x; null keeps nothing.
ALWAYS_INLINE float exponentials(float* y, const float* x, int64_t n, float highest) {
  vf total = {};
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    const vf e = vexp_of_low(load(x + i) - highest);
    if (y) store(y + i, e);
    total += e;
  }
  if (i < n) {
    vf e = vexp_of_low(load_partial(x + i, n - i) - highest);
    e = load_partial(reinterpret_cast<float*>(&e), n - i);
    if (y) store_partial(y + i, e, n - i);
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
      const float total = exponentials(grad_scale != 0.0f ? row : nullptr, row, vocab, highest);
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
      const float total = exponentials(out, x + r * dim, dim, highest_of(x + r * dim, dim));
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
