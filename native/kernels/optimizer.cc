// AdamW (Loshchilov and Hutter 2019) in one pass over parameter, moments and gradient.
#include "families.h"
#include "rows.h"

namespace ISA_NS {
namespace {

void adamw(float* param, float* m, float* v, const float* grad, int64_t length, const AdamW& options) {
  const vf beta1 = splat(options.beta1), beta2 = splat(options.beta2), scale = splat(options.grad_scale);
  const vf rest1 = splat(1.0f - options.beta1), rest2 = splat(1.0f - options.beta2);
  const vf decay = splat(1.0f - options.learning_rate * options.weight_decay), epsilon = splat(options.epsilon);
  const vf rate = splat(options.learning_rate / options.correction1), inverse2 = splat(1.0f / options.correction2);
  for_pieces(length, [=](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i += W) {
      const int64_t count = min64(W, to - i);
      const vf x = load_up_to(grad + i, count) * scale;
      const vf a = beta1 * load_up_to(m + i, count) + rest1 * x;
      const vf b = beta2 * load_up_to(v + i, count) + rest2 * x * x;
      const vf p = load_up_to(param + i, count) * decay - rate * a / (vsqrt(b * inverse2) + epsilon);
      store_up_to(m + i, a, count);
      store_up_to(v + i, b, count);
      store_up_to(param + i, p, count);
    }
  });
}

}  // namespace

void fill_optimizer(KernelTable& table) { table.optimizer = {adamw}; }

}  // namespace ISA_NS
