// The router of a mixture of experts: softmax over all experts in f32, the K largest, weights divided by their sum.
// The choice compares logits, not probs: probs may tie or swap by rounding, and sets of instructions would then disagree.
#include "families.h"
#include "rows.h"

namespace ISA_NS {
namespace {

ALWAYS_INLINE void softmax_row(float* probs, const float* logits, int64_t n) {
  vf top = splat(-__builtin_inff());
  for (int64_t i = 0; i < n; i += W) {
    const int64_t count = min64(W, n - i);
    if (count == W) top = vmax(top, load(logits + i));
    else
      for (int64_t j = 0; j < count; j++) top = vmax(top, splat(logits[i + j]));
  }
  const float highest = reduce_max(top);
  float total = 0;
  for (int64_t i = 0; i < n; i += W) {
    const int64_t count = min64(W, n - i);
    vf p = vexp(load_up_to(logits + i, count) - highest);
    store_up_to(probs + i, p, count);
  }
  for (int64_t i = 0; i < n; i++) total += probs[i];
  const float inverse = 1.0f / total;
  for (int64_t i = 0; i < n; i++) probs[i] *= inverse;
}

void forward(float* probs, float* weights, int32_t* experts, const float* logits, int64_t rows, int64_t num_experts,
             int64_t top_k, bool normalize) {
  for_rows(rows, 4 * num_experts, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      float* p = probs + r * num_experts;
      float* w = weights + r * top_k;
      int32_t* chosen = experts + r * top_k;
      const float* row = logits + r * num_experts;
      softmax_row(p, row, num_experts);
      for (int64_t j = 0; j < top_k; j++) {
        int64_t best = -1;
        for (int64_t e = 0; e < num_experts; e++) {
          bool taken = false;
          for (int64_t i = 0; i < j; i++) taken |= chosen[i] == e;
          if (!taken && (best < 0 || row[e] > row[best])) best = e;
        }
        chosen[j] = static_cast<int32_t>(best);
        w[j] = p[best];
      }
      if (!normalize) continue;
      float sum = 0;
      for (int64_t j = 0; j < top_k; j++) sum += w[j];
      for (int64_t j = 0; j < top_k; j++) w[j] /= sum;
    }
  });
}

// With p the probs and s the sum of the chosen: w_j = p_j / s, dp_j = (dw_j - sum_i dw_i w_i) / s, plus the auxiliary
// gradient for every expert; dlogits = p * (dp - sum(dp * p)).
void backward(float* dlogits, const float* dweights, const float* aux_grad, const float* probs, const int32_t* experts,
              int64_t rows, int64_t num_experts, int64_t top_k, bool normalize) {
  for_rows(rows, 4 * num_experts, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* p = probs + r * num_experts;
      const float* dw = dweights + r * top_k;
      const int32_t* chosen = experts + r * top_k;
      float* d = dlogits + r * num_experts;
      for (int64_t e = 0; e < num_experts; e++) d[e] = aux_grad[e];
      float sum = 1.0f, shared = 0.0f;
      if (normalize) {
        sum = 0.0f;
        for (int64_t j = 0; j < top_k; j++) sum += p[chosen[j]];
        for (int64_t j = 0; j < top_k; j++) shared += dw[j] * p[chosen[j]] / sum;
      }
      for (int64_t j = 0; j < top_k; j++) d[chosen[j]] += (dw[j] - shared) / sum;
      float dot = 0.0f;
      for (int64_t e = 0; e < num_experts; e++) dot += d[e] * p[e];
      for (int64_t e = 0; e < num_experts; e++) d[e] = p[e] * (d[e] - dot);
    }
  });
}

}  // namespace

void fill_router(KernelTable& table) { table.router = {forward, backward}; }

}  // namespace ISA_NS
