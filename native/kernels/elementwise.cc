// Elementwise kernels, limited by memory: pieces of fixed size, each one sweep.
#include "families.h"
#include "isa.h"
#include "pool.h"

namespace ISA_NS {
namespace {

constexpr int64_t piece_length = 1 << 14;

// Calls body(from, to) for pieces of fixed size of 0..length.
template <typename F>
ALWAYS_INLINE void for_pieces(int64_t length, F&& body) {
  pool::parallel_for((length + piece_length - 1) / piece_length, [&](int64_t piece) {
    body(piece * piece_length, min64(length, (piece + 1) * piece_length));
  });
}

void fill(float* y, float value, int64_t length) {
  for_pieces(length, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) y[i] = value;
  });
}

void scale(float* y, const float* x, float alpha, int64_t length, bool accumulate) {
  for_pieces(length, [&](int64_t from, int64_t to) {
    if (accumulate)
      for (int64_t i = from; i < to; i++) y[i] += alpha * x[i];
    else
      for (int64_t i = from; i < to; i++) y[i] = alpha * x[i];
  });
}

}  // namespace

void fill_elementwise(KernelTable& table) { table.elementwise = {fill, scale}; }

}  // namespace ISA_NS
