// Tokens sorted by expert and back (Gale et al. 2022, MegaBlocks): no capacity, no padding, nothing dropped.
#include "families.h"
#include "memory.h"
#include "rows.h"

namespace ISA_NS {
namespace {

void build_permutation(int32_t* slot_of, int32_t* token_of, int32_t* offsets, const int32_t* experts, int64_t rows,
                       int64_t top_k, int64_t num_experts) {
  const int64_t slots = rows * top_k;
  for (int64_t e = 0; e <= num_experts; e++) offsets[e] = 0;
  for (int64_t s = 0; s < slots; s++) offsets[experts[s] + 1]++;
  for (int64_t e = 0; e < num_experts; e++) offsets[e + 1] += offsets[e];
  int32_t* next = static_cast<int32_t*>(memory::scratch(memory::Slot::shared, (num_experts + 1) * sizeof(int32_t)));
  for (int64_t e = 0; e < num_experts; e++) next[e] = offsets[e];
  for (int64_t t = 0, s = 0; t < rows; t++)
    for (int64_t j = 0; j < top_k; j++, s++) {
      const int32_t place = next[experts[s]]++;
      slot_of[s] = place;
      token_of[place] = static_cast<int32_t>(t);
    }
}

void gather(float* out, const float* x, const int32_t* token_of, int64_t slots, int64_t dim) {
  for_rows(slots, dim, [&](int64_t from, int64_t to) {
    for (int64_t s = from; s < to; s++) memcpy(out + s * dim, x + token_of[s] * dim, dim * sizeof(float));
  });
}

// y[t] (+)= sum over j, in their order, of factor(t * K + j) * ys[slot_of[t * K + j]]
template <typename F>
ALWAYS_INLINE void add_slots(float* y, const float* ys, const int32_t* slot_of, int64_t rows, int64_t top_k,
                             int64_t dim, bool accumulate, F&& factor) {
  for_rows(rows, dim * (top_k + 1), [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
      const int32_t* slots = slot_of + t * top_k;
      float* out = y + t * dim;
      for_vectors(dim, [&](int64_t i, auto load_at, auto store_at) {
        vf sum = accumulate ? load_at(out + i) : vf{};
        for (int64_t j = 0; j < top_k; j++) sum += factor(t * top_k + j) * load_at(ys + static_cast<int64_t>(slots[j]) * dim + i);
        store_at(out + i, sum);
      });
    }
  });
}

void gather_backward(float* dx, const float* dout, const int32_t* slot_of, int64_t rows, int64_t top_k, int64_t dim,
                     bool accumulate) {
  add_slots(dx, dout, slot_of, rows, top_k, dim, accumulate, [](int64_t) { return 1.0f; });
}

void combine(float* y, const float* ys, const float* weights, const int32_t* slot_of, int64_t rows, int64_t top_k,
             int64_t dim, bool accumulate) {
  add_slots(y, ys, slot_of, rows, top_k, dim, accumulate, [&](int64_t s) { return weights[s]; });
}

void combine_backward(float* dys, float* dweights, const float* dy, const float* ys, const float* weights,
                      const int32_t* slot_of, int64_t rows, int64_t top_k, int64_t dim) {
  for_rows(rows, dim * (2 * top_k + 1), [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
      const float* d = dy + t * dim;
      for (int64_t j = 0; j < top_k; j++) {
        const int64_t s = t * top_k + j, at = static_cast<int64_t>(slot_of[s]) * dim;
        const float w = weights[s];
        vf dot = {};
        for (int64_t i = 0; i < dim; i += W) {
          const int64_t count = min64(W, dim - i);
          const vf g = load_up_to(d + i, count);
          dot += g * load_up_to(ys + at + i, count);
          store_up_to(dys + at + i, g * w, count);
        }
        dweights[s] = reduce_add(dot);
      }
    }
  });
}

}  // namespace

void fill_dispatch(KernelTable& table) {
  table.dispatch = {build_permutation, gather, gather_backward, combine, combine_backward};
}

}  // namespace ISA_NS
