#include "arguments.h"

namespace {

void require_below(const Arguments& a, const int32_t* values, int64_t count, int64_t bound, const char* what) {
  for (int64_t i = 0; i < count; i++)
    if (values[i] < 0 || values[i] >= bound) a.fail(std::string("no such ") + what);
}

// Slots are numbered in 32 bits.
Size slots_of(const Arguments& a, Size rows, Size top_k) {
  const Size slots = rows * top_k;
  if (slots > INT32_MAX) a.fail("more than 2^31 - 1 slots");
  return slots;
}

// (slotOf, tokenOf, offsets, experts, rows, topK, numExperts)
napi_value build_permutation(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(4, "rows"), top_k = a.size(5, "topK"), experts = a.size(6, "numExperts");
  const Size slots = slots_of(a, rows, top_k);
  const int32_t* chosen = a.i32(3, "experts", slots);
  require_below(a, chosen, slots, experts, "expert");
  int32_t *slot_of = a.i32(0, "slotOf", slots), *token_of = a.i32(1, "tokenOf", slots),
          *offsets = a.i32(2, "offsets", experts + Size(1));
  // Without slots there are rows without end to walk, and nothing in them.
  table.dispatch.build_permutation(slot_of, token_of, offsets, chosen, slots > 0 ? int64_t{rows} : 0, top_k, experts);
  return nullptr;
}

// (out, x, tokenOf, slots, dim)
napi_value gather(Arguments& a, const KernelTable& table) {
  const Size slots = a.size(3, "slots"), dim = a.size(4, "dim");
  const float* x = a.f32(1, "x");
  const int32_t* token_of = a.i32(2, "tokenOf", slots);
  require_below(a, token_of, slots, dim > 0 ? a.length(1) / dim : 0, "row");
  table.dispatch.gather(a.f32(0, "out", slots * dim), x, token_of, slots, dim);
  return nullptr;
}

// (dx, dout, slotOf, rows, topK, dim, accumulate)
napi_value gather_backward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(3, "rows"), top_k = a.size(4, "topK"), dim = a.size(5, "dim");
  const Size slots = slots_of(a, rows, top_k);
  const int32_t* slot_of = a.i32(2, "slotOf", slots);
  require_below(a, slot_of, slots, slots, "slot");
  float* dx = a.f32(0, "dx", rows * dim);
  const float* dout = a.f32(1, "dout", slots * dim);
  if (dim > 0) table.dispatch.gather_backward(dx, dout, slot_of, rows, top_k, dim, a.flag(6));
  return nullptr;
}

// (y, ys, weights, slotOf, rows, topK, dim, accumulate)
napi_value combine(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(4, "rows"), top_k = a.size(5, "topK"), dim = a.size(6, "dim");
  const Size slots = slots_of(a, rows, top_k);
  const int32_t* slot_of = a.i32(3, "slotOf", slots);
  require_below(a, slot_of, slots, slots, "slot");
  float* y = a.f32(0, "y", rows * dim);
  const float *ys = a.f32(1, "ys", slots * dim), *weights = a.f32(2, "weights", slots);
  if (dim > 0) table.dispatch.combine(y, ys, weights, slot_of, rows, top_k, dim, a.flag(7));
  return nullptr;
}

// (dys, dweights, dy, ys, weights, slotOf, rows, topK, dim)
napi_value combine_backward(Arguments& a, const KernelTable& table) {
  const Size rows = a.size(6, "rows"), top_k = a.size(7, "topK"), dim = a.size(8, "dim");
  const Size slots = slots_of(a, rows, top_k);
  const int32_t* slot_of = a.i32(5, "slotOf", slots);
  require_below(a, slot_of, slots, slots, "slot");
  float *dys = a.f32(0, "dys", slots * dim), *dweights = a.f32(1, "dweights", slots);
  const float *dy = a.f32(2, "dy", rows * dim), *ys = a.f32(3, "ys", slots * dim),
              *weights = a.f32(4, "weights", slots);
  if (slots > 0) table.dispatch.combine_backward(dys, dweights, dy, ys, weights, slot_of, rows, top_k, dim);
  return nullptr;
}

}  // namespace

const NamedMethod dispatch_methods[] = {{"buildPermutation", build_permutation},
                                        {"gatherRows", gather},
                                        {"gatherRowsBackward", gather_backward},
                                        {"combineForward", combine},
                                        {"combineBackward", combine_backward},
                                        {nullptr, nullptr}};
