// Weight gradients: products whose left operand is stored [k, m] and runs down its columns, K being the rows of a batch. Both
// operands are copied block by block along K into scratch of the piece at hand; what comes next is fetched meanwhile, since
// passes down long rows are not foreseen by the hardware.
#pragma once
#include "memory.h"
#include "operands.h"
#include "pool.h"
#include "tile.h"

namespace ISA_NS {

constexpr int64_t kMostTiles = kTile > 6 ? 8 : 24, kMostPanels = 16;  // of a piece; its copied tiles stay in the second-level cache
constexpr int64_t kTileVectors = (kTile + W - 1) / W;
// Floats of one copied tile: whole vectors are stored, so its last row reaches into the space behind it.
constexpr int64_t kTileFloats = kDepth * kTile + W;
constexpr int64_t kPanelFloats = kDepth * kPanel;

// The columns of rows [k, ld], in tiles [elements][kTile] of `height` columns, at a stride of kTileFloats.
template <typename P>
void copy_tiles(float* out, const float* rows, int64_t ld, int64_t k, int64_t columns, int64_t height, bool rounded) {
  constexpr int per = P::kPerElement;
  for (int64_t e = 0; e * per < k; e++, rows += per * ld, out += kTile) {
    const float* x1 = per == 2 && e * per + 1 < k ? rows + ld : nullptr;
    fetch_ahead<P>(rows, ld, e, k, columns);
    float* to = out;
    int64_t i = 0;
    for (; i + kTileVectors * W <= columns; i += height, to += kTileFloats)
      for (int64_t v = 0; v < kTileVectors * W; v += W)
        store(to + v, join_rows<P>(load(rows + i + v), x1 ? load(x1 + i + v) : vf{}, rounded));
    for (; i < columns; i += height, to += kTileFloats)
      copy_columns<P>(to, rows + i, x1 ? x1 + i : nullptr, columns - i, kTile, rounded);
  }
}

constexpr int64_t kRowsKept = 32;  // fetched ahead by micro_keeping

// As `micro` over a copied tile, with b in rows `ldb` apart, of which it keeps all kPanel columns as the panel `kept`.
template <typename P, int Rows>
inline void micro_keeping(int64_t depth, const float* a, const float* b, int64_t ldb, float* kept, float* c, int64_t ldc, bool add) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
    __builtin_prefetch(c + r * ldc, 1);
    __builtin_prefetch(c + r * ldc + kPanel - 1, 1);
  }
  vf acc[Rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) acc[r][0] = acc[r][1] = vf{};
  for (int64_t k = 0; k < depth; k++) {
    const vf left = load(b), right = load(b + W);
    if (k + kRowsKept < depth) __builtin_prefetch(b + kRowsKept * ldb);
    store(kept, left);
    store(kept + W, right);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const vf x = splat(a[r]);
      P::step(acc[r][0], x, left);
      P::step(acc[r][1], x, right);
    }
    a += kTile;
    b += ldb;
    kept += kPanel;
  }
  put_tile<Rows, 2>(acc, c, ldc, add, kPanel);
}

using KeepingKernel = void (*)(int64_t, const float*, const float*, int64_t, float*, float*, int64_t, bool);

template <typename P>
inline KeepingKernel keeping_kernel(int64_t rows) {
#define KERNEL(n) micro_keeping<P, (n <= kTile ? n : kTile)>
  static constexpr KeepingKernel kernels[] = {KERNEL(1), KERNEL(2), KERNEL(3),  KERNEL(4),  KERNEL(5),  KERNEL(6),  KERNEL(7),
                                              KERNEL(8), KERNEL(9), KERNEL(10), KERNEL(11), KERNEL(12), KERNEL(13), KERNEL(14)};
#undef KERNEL
  return kernels[rows - 1];
}

// Rows [count][columns] on their way into the second-level cache, a share of them at each of `steps`. A share too large to
// arrive in time is left to the copy.
struct Fetcher {
  static constexpr int64_t kMostRows = 32;
  const float* row;
  int64_t ld, columns, left, share;
  Fetcher(const float* first, int64_t ld_, int64_t columns_, int64_t count, int64_t steps)
      : row(first), ld(ld_), columns(columns_), left(count), share(ceil_div(max64(0, count), steps)) {
    if (share > kMostRows) left = 0;
  }
  void step() {
    for (int64_t r = 0; r < share && left > 0; r++, left--, row += ld)
      for (int64_t i = 0; i < columns; i += 16) __builtin_prefetch(row + i, 0, 2);
  }
};

// How the product is cut: blocks of tiles times blocks of panels, enough of them for threads of unequal speed. Every block of
// panels copies its tiles and every block of tiles its panels: of all cuts, that with the fewest copies.
struct Cut {
  int64_t tiles_per_piece = 1, panels_per_piece = 1, tile_blocks = 1, panel_blocks = 1;
};

static inline Cut cut_transposed(int64_t tiles, int64_t panels, int64_t groups) {
  constexpr int64_t kPieces = 12, kPanelCost = 2;  // a copied panel costs about as much as two tiles
  Cut best;
  int64_t fewest = -1;
  for (int64_t width = min64(panels, kMostPanels); width > 0; width--) {
    Cut cut;
    cut.panel_blocks = ceil_div(panels, width);
    cut.panels_per_piece = ceil_div(panels, cut.panel_blocks);
    const int64_t wanted = max64(ceil_div(tiles, kMostTiles), ceil_div(kPieces, groups * cut.panel_blocks));
    cut.tiles_per_piece = ceil_div(tiles, min64(tiles, wanted));
    cut.tile_blocks = ceil_div(tiles, cut.tiles_per_piece);
    const bool few = groups * cut.tile_blocks * cut.panel_blocks < kPieces;
    const int64_t copies = tiles * cut.panel_blocks + kPanelCost * panels * cut.tile_blocks + (few ? kPanelCost * tiles * panels : 0);
    if (fewest < 0 || copies < fewest) fewest = copies, best = cut;
  }
  return best;
}

// Tiles tile0..tile1 times panels panel0..panel1 of c[m, n], of one group: a[rows, m] and b[rows, n] are its operands.
template <typename P>
struct TransposedPiece {
  static constexpr int per = P::kPerElement;
  float* c;
  const float *a, *b;
  int64_t rows, m, n, height, tile0, tile1, panel0, panel1;
  bool accumulate, rounded;

  void run() const {
    float* tiles_a = static_cast<float*>(memory::scratch(memory::Slot::a, (kMostTiles * kTileFloats + kPanelFloats) * 4));
    float* panel_b = tiles_a + kMostTiles * kTileFloats;
    const int64_t columns_a = min64(m, tile1 * height) - tile0 * height;
    for (int64_t k = 0; k < rows || k == 0; k += kDepth * per) {
      const int64_t depth = min64(kDepth * per, rows - k), next_depth = min64(kDepth * per, rows - k - depth);
      const float *rows_a = a + k * m + tile0 * height, *rows_b = b + k * n;
      copy_tiles<P>(tiles_a, rows_a, m, depth, columns_a, height, rounded);
      Fetcher next_a(rows_a + depth * m, m, columns_a, next_depth, (panel1 - panel0) * (tile1 - tile0));
      for (int64_t panel = panel0; panel < panel1; panel++) {
        const bool wraps = panel + 1 == panel1;
        const int64_t next = (wraps ? panel0 : panel + 1) * kPanel;
        Fetcher next_b(rows_b + (wraps ? depth * n : 0) + next, n, min64(kPanel, n - next), wraps ? next_depth : depth, tile1 - tile0);
        multiply(rows_b + panel * kPanel, depth, tiles_a, panel_b, panel, accumulate || k > 0, next_a, next_b);
      }
    }
  }

  void multiply(const float* rows_b, int64_t depth, const float* tiles_a, float* panel_b, int64_t panel, bool add, Fetcher& next_a,
                Fetcher& next_b) const {
    const int64_t width = min64(kPanel, n - panel * kPanel);
    const bool keeping = per == 1 && !rounded && width == kPanel && depth > 0;
    if (!keeping) pack_panel<P>(panel_b, rows_b, n, 0, width, depth, rounded);
    for (int64_t tile = tile0; tile < tile1; tile++, tiles_a += kTileFloats) {
      next_a.step();
      next_b.step();
      const int64_t tile_rows = min64(height, m - tile * height);
      float* tile_c = c + tile * height * n + panel * kPanel;
      if (keeping && tile == tile0) keeping_kernel<P>(tile_rows)(depth, tiles_a, rows_b, n, panel_b, tile_c, n, add);
      else micro_kernel<P, 1, kTile>(tile_rows, width)(ceil_div(depth, per), tiles_a, panel_b, tile_c, n, add, width, 0);
    }
  }
};

// c[m, n] (+)= aT b of every group: row tiles come from columns of a, panels from columns of b, K runs along the group's rows.
template <typename P>
void gemm_transposed_with(float* c, const float* a, const float* b, const int32_t* offsets, int64_t groups, int64_t m,
                          int64_t n, bool accumulate, bool rounded) {
  if (m == 0 || n == 0) return;
  const int64_t tiles = ceil_div(m, kTile), panels = ceil_div(n, kPanel);
  const int64_t height = ceil_div(m, tiles);  // even tiles: one of two rows would wait for its own sums
  const Cut cut = cut_transposed(tiles, panels, groups);
  const int64_t pieces = cut.tile_blocks * cut.panel_blocks;
  pool::parallel_for(groups * pieces, [&](int64_t piece) {
    const int64_t g = piece / pieces, first = offsets[g];
    const int64_t tile0 = piece % pieces / cut.panel_blocks * cut.tiles_per_piece, panel0 = piece % cut.panel_blocks * cut.panels_per_piece;
    const int64_t tile1 = min64(tiles, tile0 + cut.tiles_per_piece), panel1 = min64(panels, panel0 + cut.panels_per_piece);
    TransposedPiece<P>{c + g * m * n, a + first * m, b + first * n, offsets[g + 1] - first, m, n, height, tile0, tile1, panel0,
                       panel1, accumulate, rounded}
        .run();
  });
}

}  // namespace ISA_NS
