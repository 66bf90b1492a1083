// AdamW (Loshchilov and Hutter 2019) in one pass over parameter, moments and gradient.
#include <cmath>

#include "families.h"
#include "rows.h"

namespace ISA_NS {
namespace {

void adamw(float* param, float* m, float* v, const float* grad, int64_t length, const AdamW& options) {
  const AdamW o = options;
  const float decay = 1.0f - o.learning_rate * o.weight_decay;
  const float rate = o.learning_rate / o.correction1, inverse2 = 1.0f / o.correction2;
  for_pieces(length, [&](int64_t from, int64_t to) {
    float* __restrict p = param;
    float* __restrict first = m;
    float* __restrict second = v;
    const float* __restrict g = grad;
    for (int64_t i = from; i < to; i++) {
      const float x = g[i] * o.grad_scale;
      const float a = o.beta1 * first[i] + (1.0f - o.beta1) * x;
      const float b = o.beta2 * second[i] + (1.0f - o.beta2) * x * x;
      first[i] = a;
      second[i] = b;
      p[i] = p[i] * decay - rate * a / (sqrtf(b * inverse2) + o.epsilon);
    }
  });
}

}  // namespace

void fill_optimizer(KernelTable& table) { table.optimizer = {adamw}; }

}  // namespace ISA_NS
