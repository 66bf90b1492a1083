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
// Rows of A that meet a panel of B while it stays in the first-level cache.
constexpr int kBlockRows = kTile > 6 ? kTile * 8 : kTile * 24;
// Depth of one K block, in elements of the copied A: floats, or pairs of bf16.
constexpr int kDepth = 256;
constexpr int kRowStride = kDepth + 16;  // keeps the rows of a tile in different cache sets

static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How one precision stores and multiplies: an Element is what one step along K consumes (one float, or a bf16 pair).
struct F32 {
  using Product = F32;
  static constexpr int kPerElement = 1;
  static constexpr bool kRounded = false;  // whether operands of attention are rounded to bf16
  static inline void step(vf& acc, vf a, vf b) { acc += a * b; }
};

// bf16 without hardware for it: rounded operands, products of floats.
struct RoundedF32 : F32 {
  static constexpr bool kRounded = true;
};

#if ISA_HAS_BF16
struct Bf16 {
  using Product = Bf16;
  static constexpr int kPerElement = 2;
  static constexpr bool kRounded = true;
  static inline void step(vf& acc, vf a, vf b) {
    acc = (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
  }
};
#endif

// Stores sums, or adds them to what is there: the first `columns` of each row.
template <int Rows, int Vectors>
ALWAYS_INLINE void put_tile(const vf (&acc)[Rows][Vectors], float* c, int64_t ldc, bool add, int64_t columns) {
#pragma GCC unroll 2
  for (int v = 0; v < Vectors; v++) {
    float* column = c + v * W;
    const int64_t count = columns - v * W;
    if (count >= W) {
#pragma GCC unroll 16
      for (int r = 0; r < Rows; r++) store(column + r * ldc, add ? load(column + r * ldc) + acc[r][v] : acc[r][v]);
    } else {
#pragma GCC unroll 16
      for (int r = 0; r < Rows; r++) {
        float* to = column + r * ldc;
        store_partial(to, add ? load_partial(to, count) + acc[r][v] : acc[r][v], count);
      }
    }
  }
}

constexpr int kAnyStep = 0;  // as RowStep: rows are `row_step` floats apart

// c[Rows, Vectors * W] (+)= a · b over `depth` elements, a(row, k) = a[row * RowStep + k * DepthStep], b in rows of a panel.
// Stores the first `columns` of them; their lines are fetched while the tile is summed. Vectors = 1 reads the left half of the panel only.
template <typename P, int Rows, int Vectors, int RowStep, int DepthStep>
inline void micro(int64_t depth, const float* a, const float* b, float* c, int64_t ldc, bool add, int64_t columns,
                  int64_t row_step) {
  const int64_t step = RowStep == kAnyStep ? row_step : RowStep;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
    __builtin_prefetch(c + r * ldc, 1);
    if (Vectors > 1) __builtin_prefetch(c + r * ldc + kPanel - 1, 1);
  }
  vf acc[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; v++) acc[r][v] = vf{};
  for (int64_t k = 0; k < depth; k++) {
    const vf left = load(b), right = Vectors > 1 ? load(b + W) : vf{};
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const vf x = splat(a[r * step]);
      P::step(acc[r][0], x, left);
      if (Vectors > 1) P::step(acc[r][Vectors - 1], x, right);
    }
    a += DepthStep;
    b += kPanel;
  }
  put_tile<Rows, Vectors>(acc, c, ldc, add, columns);
}

using MicroKernel = void (*)(int64_t, const float*, const float*, float*, int64_t, bool, int64_t, int64_t);

// The kernel for a tile of `rows` <= kTile rows and `columns` <= kPanel columns.
template <typename P, int RowStep, int DepthStep>
inline MicroKernel micro_kernel(int64_t rows, int64_t columns) {
#define KERNEL(n, vectors) micro<P, (n <= kTile ? n : kTile), vectors, RowStep, DepthStep>
#define ROWS(n) {KERNEL(n, 1), KERNEL(n, 2)}
  static constexpr MicroKernel kernels[][2] = {ROWS(1), ROWS(2), ROWS(3),  ROWS(4),  ROWS(5),  ROWS(6),  ROWS(7),
                                               ROWS(8), ROWS(9), ROWS(10), ROWS(11), ROWS(12), ROWS(13), ROWS(14)};
#undef ROWS
#undef KERNEL
  return kernels[rows - 1][columns > W];
}

}  // namespace ISA_NS
