// Register tiles: kTile rows by kPanel columns, run along K. Shared by the products and by attention.
#pragma once
#include "isa.h"

namespace ISA_NS {

constexpr int kPanel = 2 * W;
#if defined(__AVX512F__)
constexpr int kTile = 14;
#else
constexpr int kTile = 6;
#endif
constexpr int kBlockRows = kTile * 8;
// Depth of one K block, in elements of the copied A: floats, or pairs of bf16.
constexpr int kDepth = 256;
constexpr int kRowStride = kDepth + 16;  // keeps the rows of a tile in different cache sets

static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How one precision stores and multiplies: an Element is what one step along K consumes (one float, or a bf16 pair).
struct F32 {
  static constexpr int kPerElement = 1;
  static inline void step(vf& acc, vf a, vf b) { acc += a * b; }
};

#if ISA_HAS_BF16
struct Bf16 {
  static constexpr int kPerElement = 2;
  static inline void step(vf& acc, vf a, vf b) {
    acc = (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
  }
};
#endif

// c[Rows, kPanel] (+)= a · b over `depth` elements. a(row, k) = a[row * RowStep + k * DepthStep].
template <typename P, int Rows, int RowStep, int DepthStep>
inline void micro(int64_t depth, const float* a, const float* b, float* c, int64_t ldc, bool add, int64_t columns) {
  vf acc[Rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) acc[r][0] = acc[r][1] = vf{};
  for (int64_t k = 0; k < depth; k++) {
    const vf b0 = load(b), b1 = load(b + W);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const vf x = splat(a[r * RowStep]);
      P::step(acc[r][0], x, b0);
      P::step(acc[r][1], x, b1);
    }
    a += DepthStep;
    b += kPanel;
  }
  if (columns == kPanel) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      float* row = c + r * ldc;
      store(row, add ? load(row) + acc[r][0] : acc[r][0]);
      store(row + W, add ? load(row + W) + acc[r][1] : acc[r][1]);
    }
    return;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
    float lanes[kPanel];
    store(lanes, acc[r][0]);
    store(lanes + W, acc[r][1]);
    float* row = c + r * ldc;
    for (int64_t j = 0; j < columns; j++) row[j] = add ? row[j] + lanes[j] : lanes[j];
  }
}

using MicroKernel = void (*)(int64_t, const float*, const float*, float*, int64_t, bool, int64_t);

template <typename P, int RowStep, int DepthStep>
inline MicroKernel micro_kernel(int64_t rows) {
#define ROWS(n) micro<P, (n <= kTile ? n : kTile), RowStep, DepthStep>
  static constexpr MicroKernel kernels[] = {ROWS(1), ROWS(2), ROWS(3),  ROWS(4),  ROWS(5),  ROWS(6),  ROWS(7),
                                            ROWS(8), ROWS(9), ROWS(10), ROWS(11), ROWS(12), ROWS(13), ROWS(14)};
#undef ROWS
  return kernels[rows - 1];
}

}  // namespace ISA_NS
