// Products with prepacked weights, grouped products and weight gradients, after BLIS (Van Zee and van de Geijn 2015):
// B stands in panels of kPanel columns and a register tile of kTile x kPanel runs along K, over A in place or copied (and
// rounded) block by block into scratch of a fixed stride. Every element of C is summed along K in the same order whatever the
// number of rows, pieces or threads.
#include "families.h"
#include "memory.h"
#include "operands.h"
#include "pool.h"
#include "tile.h"
#include "transposed.h"
#include "weights.h"

namespace ISA_NS {
namespace {

using memory::Slot;

template <typename P>
int64_t panel_floats(int64_t k) {
  return ceil_div(k, P::kPerElement) * kPanel;
}

template <typename P>
void pack_with(const PackedMatrix& packed, const float* source, bool transposed, bool rounded) {
  const int64_t panels = ceil_div(packed.n, kPanel), floats = panel_floats<P>(packed.k);
  pool::parallel_for(packed.groups * panels, [&](int64_t piece) {
    const int64_t group = piece / panels, first = piece % panels * kPanel;
    const int64_t count = packed.n - first < kPanel ? packed.n - first : kPanel;
    float* out = static_cast<float*>(packed.data) + piece * floats;
    const float* from = source + group * packed.k * packed.n;
    if (transposed) turn_panel<P>(out, from + first * packed.k, packed.k, count, packed.k, rounded);
    else pack_panel<P>(out, from, packed.n, first, count, packed.k, rounded);
  });
}

// Pieces of a grouped product: blocks of rows of every group times blocks of panels.
struct Split {
  int64_t blocks = 0;  // row blocks of all groups
  int64_t panels_per_piece = 0, column_pieces = 0;
};

Split split_work(int64_t blocks, int64_t panels) {
  Split split;
  split.blocks = blocks;
  split.column_pieces = ceil_div(panels, 16);
  while (split.column_pieces < panels && blocks * split.column_pieces < 16) split.column_pieces++;
  split.panels_per_piece = ceil_div(panels, split.column_pieces);
  split.column_pieces = ceil_div(panels, split.panels_per_piece);
  return split;
}

// Rows of one block times some panels of one group's weights. While many tiles meet one panel, a share of the next is sent for
// at each, to be in the second-level cache in time.
template <typename P, int RowStep>
void multiply_block(float* c, const float* tile_a, int64_t row_step, const float* panels_b, int64_t panel_stride, int64_t rows,
                    int64_t columns, int64_t depth, int64_t ldc, bool add) {
  const int64_t tiles = ceil_div(rows, kTile), share = tiles > 4 ? ceil_div(depth, tiles) * kPanel : 0;
  for (int64_t j = 0; j < columns; j += kPanel, panels_b += panel_stride) {
    const float* next = panels_b + panel_stride;
    const int64_t fetched = j + kPanel < columns ? share : 0;
    for (int64_t r = 0; r < rows; r += kTile, next += fetched) {
      for (int64_t i = 0; i < fetched; i += 16) __builtin_prefetch(next + i, 0, 2);
      micro_kernel<P, RowStep, 1>(min64(kTile, rows - r), columns - j)(depth, tile_a + r * row_step, panels_b,
                                                                      c + r * ldc + j, ldc, add, min64(kPanel, columns - j), row_step);
    }
  }
}

// Small tiles of floats are read where they stand; taller ones and rounded operands are copied block by block first.
template <typename P>
void gemm_packed_with(float* c, const float* a, const PackedMatrix& b, const int32_t* offsets, bool accumulate,
                      bool rounded) {
  constexpr int per = P::kPerElement;
  const int64_t k = b.k, n = b.n, panels = ceil_div(n, kPanel), elements = ceil_div(k, per);
  if (n == 0) return;
  const bool in_place = kTile <= 6 && per == 1 && !rounded;
  int64_t blocks = 0;
  for (int64_t g = 0; g < b.groups; g++) blocks += ceil_div(offsets[g + 1] - offsets[g], kBlockRows);
  const Split split = split_work(blocks, panels);
  pool::parallel_for(blocks * split.column_pieces, [&](int64_t piece) {
    int64_t block = piece / split.column_pieces, group = 0;
    for (;; group++) {
      const int64_t own = ceil_div(offsets[group + 1] - offsets[group], kBlockRows);
      if (block < own) break;
      block -= own;
    }
    const int64_t row0 = offsets[group] + block * kBlockRows, rows = min64(kBlockRows, offsets[group + 1] - row0);
    const int64_t panel0 = piece % split.column_pieces * split.panels_per_piece;
    const int64_t column0 = panel0 * kPanel, columns = min64(n - column0, split.panels_per_piece * kPanel);
    float* copied = in_place ? nullptr : static_cast<float*>(memory::scratch(Slot::a, kBlockRows * kRowStride * 4));
    const float* panels_b = static_cast<const float*>(b.data) + (group * panels + panel0) * elements * kPanel;
    for (int64_t e = 0; e < elements || e == 0; e += kDepth) {
      const int64_t depth = min64(kDepth, elements - e), first = e * per, last = min64(k, first + depth * per);
      const float *block_a = a + row0 * k + first, *block_b = panels_b + e * kPanel;
      float* block_c = c + row0 * n + column0;
      const bool add = accumulate || e > 0;
      if (in_place) {
        multiply_block<P, kAnyStep>(block_c, block_a, k, block_b, elements * kPanel, rows, columns, depth, n, add);
        continue;
      }
      for (int64_t r = 0; r < rows; r++) copy_row<P>(copied + r * kRowStride, block_a + r * k, last - first, rounded);
      multiply_block<P, kRowStride>(block_c, copied, kRowStride, block_b, elements * kPanel, rows, columns, depth, n, add);
    }
  });
}

int64_t packed_bytes(int64_t k, int64_t n, int64_t groups, Format format) {
  if (weights_only(format)) return weights_bytes(k, n, groups, format);
  int64_t elements = k;
#if ISA_HAS_BF16
  if (format == Format::bf16) elements = ceil_div(k, 2);
#endif
  return groups * ceil_div(n, kPanel) * elements * kPanel * 4;
}

// Calls the driver for the precision: hardware bf16, floats rounded to bf16, or floats.
#if ISA_HAS_BF16
#define WITH_PRECISION(bf16, function, ...) \
  if (bf16) function<Bf16>(__VA_ARGS__, false); \
  else function<F32>(__VA_ARGS__, false);
#else
#define WITH_PRECISION(bf16, function, ...) function<F32>(__VA_ARGS__, bf16);
#endif

void pack(const PackedMatrix& packed, const float* source, bool transposed) {
  if (weights_only(packed.format)) return pack_weights(packed, source, transposed);
  WITH_PRECISION(packed.format == Format::bf16, pack_with, packed, source, transposed)
}

void grouped_gemm_packed(float* c, const float* a, const PackedMatrix& b, const int32_t* offsets, bool accumulate) {
  if (weights_only(b.format)) return multiply_weights(c, a, b, offsets, accumulate);
  WITH_PRECISION(b.format == Format::bf16, gemm_packed_with, c, a, b, offsets, accumulate)
}

void grouped_gemm_transposed(float* c, const float* a, const float* b, const int32_t* offsets, int64_t groups,
                             int64_t m, int64_t n, bool bf16, bool accumulate) {
  WITH_PRECISION(bf16, gemm_transposed_with, c, a, b, offsets, groups, m, n, accumulate)
}

// c (+)= op(a) * op(b): b is packed into scratch first; a stored [k, m] runs along its own columns.
void gemm(float* c, const float* a, const float* b, const GemmShape& shape) {
  const int64_t m = shape.m, n = shape.n, k = shape.k;
  if (shape.trans_a && !shape.trans_b) {
    const int32_t offsets[2] = {0, static_cast<int32_t>(k)};
    grouped_gemm_transposed(c, a, b, offsets, 1, m, n, shape.bf16, shape.accumulate);
    return;
  }
  const Format format = shape.bf16 ? Format::bf16 : Format::f32;
  const int64_t panel_bytes = packed_bytes(k, n, 1, format);
  const int64_t turned_bytes = shape.trans_a ? m * k * 4 : 0;
  char* scratch = static_cast<char*>(memory::scratch(Slot::shared, panel_bytes + turned_bytes));
  const PackedMatrix packed{k, n, 1, format, scratch};
  pack(packed, b, shape.trans_b);
  if (shape.trans_a) {
    float* turned = reinterpret_cast<float*>(scratch + panel_bytes);
    pool::parallel_for(ceil_div(m, kBlockRows), [&](int64_t piece) {
      const int64_t from = piece * kBlockRows, to = min64(m, from + kBlockRows);
      for (int64_t j = 0; j < k; j++)
        for (int64_t i = from; i < to; i++) turned[i * k + j] = a[j * m + i];
    });
    a = turned;
  }
  const int32_t offsets[2] = {0, static_cast<int32_t>(m)};
  grouped_gemm_packed(c, a, packed, offsets, shape.accumulate);
}

}  // namespace

void fill_matrix(KernelTable& table) {
  table.matrix = {packed_bytes, pack, grouped_gemm_packed, grouped_gemm_transposed, gemm};
}

}  // namespace ISA_NS
