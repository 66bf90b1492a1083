// Products with prepacked weights, grouped products and weight gradients, after BLIS (Van Zee and van de Geijn 2015):
// B stands in panels of kPanel columns, A is copied (and rounded) block by block into scratch of a fixed stride, and a
// register tile of kTile x kPanel runs along K. Every element of C is summed along K in the same order whatever the
// number of rows, pieces or threads.
#include "families.h"
#include "memory.h"
#include "operands.h"
#include "pool.h"
#include "tile.h"

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

template <typename P>
void gemm_packed_with(float* c, const float* a, const PackedMatrix& b, const int32_t* offsets, bool accumulate,
                      bool rounded) {
  const int64_t k = b.k, n = b.n, panels = ceil_div(n, kPanel), elements = ceil_div(k, P::kPerElement);
  if (n == 0) return;
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
    const int64_t row0 = offsets[group] + block * kBlockRows;
    const int64_t rows = offsets[group + 1] - row0 < kBlockRows ? offsets[group + 1] - row0 : kBlockRows;
    const int64_t panel0 = piece % split.column_pieces * split.panels_per_piece;
    const int64_t panel1 = panel0 + split.panels_per_piece < panels ? panel0 + split.panels_per_piece : panels;
    float* block_a = static_cast<float*>(memory::scratch(Slot::a, kBlockRows * kRowStride * 4));
    const float* group_b = static_cast<const float*>(b.data) + group * panels * elements * kPanel;
    for (int64_t e = 0; e < elements || e == 0; e += kDepth) {
      const int64_t depth = elements - e < kDepth ? elements - e : kDepth;
      const int64_t first = e * P::kPerElement, last = k < first + depth * P::kPerElement ? k : first + depth * P::kPerElement;
      for (int64_t r = 0; r < rows; r++) copy_row<P>(block_a + r * kRowStride, a + (row0 + r) * k + first, last - first, rounded);
      for (int64_t panel = panel0; panel < panel1; panel++) {
        const float* panel_b = group_b + (panel * elements + e) * kPanel;
        const int64_t columns = n - panel * kPanel < kPanel ? n - panel * kPanel : kPanel;
        for (int64_t r = 0; r < rows; r += kTile) {
          const int64_t tile = rows - r < kTile ? rows - r : kTile;
          micro_kernel<P, kRowStride, 1>(tile, columns)(depth, block_a + r * kRowStride, panel_b,
                                               c + (row0 + r) * n + panel * kPanel, n, accumulate || e > 0, columns);
        }
      }
      if (elements == 0) break;
    }
  });
}

// Operands of one group of a transposed product, copied: a in tiles [elements][kTile], b in panels [elements][kPanel].
struct TransposedGroup {
  int64_t first_row, rows, elements;
  float *a, *b;
};

// c[m, n] of every group: row tiles come from columns of a, panels from columns of b, K runs along the group's rows. Both
// operands are copied to shared scratch first, so that no piece copies what another has copied.
template <typename P>
void gemm_transposed_with(float* c, const float* a, const float* b, const int32_t* offsets, int64_t groups, int64_t m,
                          int64_t n, bool accumulate, bool rounded) {
  if (m == 0 || n == 0) return;
  constexpr int per = P::kPerElement;
  const int64_t tiles = ceil_div(m, kTile), panels = ceil_div(n, kPanel);
  const int64_t height = ceil_div(m, tiles);  // even tiles: one of two rows would wait for its own sums
  const int64_t most = offsets[groups] / per + groups;  // elements of all groups, at most
  float* shared_a = static_cast<float*>(memory::scratch(Slot::shared, (most * (tiles * kTile + panels * kPanel) + 2 * W) * 4));
  float* shared_b = shared_a + most * tiles * kTile + W;
  const auto group_at = [&](int64_t g) {
    const int64_t first = offsets[g], rows = offsets[g + 1] - first, at = first / per + g;
    return TransposedGroup{first, rows, ceil_div(rows, per), shared_a + at * tiles * kTile, shared_b + at * panels * kPanel};
  };
  // A row of a tile is stored in whole vectors that reach into the next row, which is written after it; the last rows go
  // another way, to keep clear of the neighbouring tile.
  pool::parallel_for(groups * (tiles + panels), [&](int64_t piece) {
    const TransposedGroup group = group_at(piece / (tiles + panels));
    const int64_t index = piece % (tiles + panels);
    const bool is_tile = index < tiles;
    const int64_t width = is_tile ? kTile : kPanel, ld = is_tile ? m : n;
    const int64_t first = is_tile ? index * height : (index - tiles) * kPanel;
    const int64_t count = min64(is_tile ? height : kPanel, ld - first);
    float* to = is_tile ? group.a + index * group.elements * kTile : group.b + (index - tiles) * group.elements * kPanel;
    const float* from = (is_tile ? a : b) + group.first_row * ld + first;
    for (int64_t e = 0; e < group.elements; e++, from += per * ld, to += width) {
      const float* x1 = per == 2 && e * per + 1 < group.rows ? from + ld : nullptr;
      if (!is_tile) {
        copy_columns<P>(to, from, x1, count, kPanel, rounded);
      } else if (e + W / kTile + 1 < group.elements) {
        copy_columns<P>(to, from, x1, count, kTile, rounded);
      } else {
        float last[kTile + W];
        copy_columns<P>(last, from, x1, count, kTile, rounded);
        memcpy(to, last, kTile * 4);
      }
    }
  });
  const int64_t blocks = ceil_div(tiles, 8);
  const Split split = split_work(blocks * groups, panels);
  pool::parallel_for(groups * blocks * split.column_pieces, [&](int64_t piece) {
    const int64_t g = piece / (blocks * split.column_pieces);
    const TransposedGroup group = group_at(g);
    const int64_t tile0 = piece / split.column_pieces % blocks * 8, tile1 = min64(tiles, tile0 + 8);
    const int64_t panel0 = piece % split.column_pieces * split.panels_per_piece;
    const int64_t panel1 = min64(panels, panel0 + split.panels_per_piece);
    for (int64_t e = 0; e < group.elements || e == 0; e += kDepth) {
      const int64_t depth = min64(kDepth, group.elements - e);
      for (int64_t panel = panel0; panel < panel1; panel++)
        for (int64_t tile = tile0; tile < tile1; tile++)
          micro_kernel<P, 1, kTile>(min64(height, m - tile * height), n - panel * kPanel)(
              depth, group.a + (tile * group.elements + e) * kTile, group.b + (panel * group.elements + e) * kPanel,
              c + (g * m + tile * height) * n + panel * kPanel, n, accumulate || e > 0, min64(kPanel, n - panel * kPanel));
    }
  });
}

int64_t packed_bytes(int64_t k, int64_t n, int64_t groups, bool bf16) {
  int64_t elements = k;
#if ISA_HAS_BF16
  if (bf16) elements = ceil_div(k, 2);
#else
  (void)bf16;
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
  WITH_PRECISION(packed.bf16, pack_with, packed, source, transposed)
}

void grouped_gemm_packed(float* c, const float* a, const PackedMatrix& b, const int32_t* offsets, bool accumulate) {
  WITH_PRECISION(b.bf16, gemm_packed_with, c, a, b, offsets, accumulate)
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
  const int64_t panel_bytes = packed_bytes(k, n, 1, shape.bf16);
  const int64_t turned_bytes = shape.trans_a ? m * k * 4 : 0;
  char* scratch = static_cast<char*>(memory::scratch(Slot::shared, panel_bytes + turned_bytes));
  const PackedMatrix packed{k, n, 1, shape.bf16, scratch};
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
