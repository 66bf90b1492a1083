// What the passes of attention share: spans of rows that do not see each other (firstKey[r] == r starts one), blocks of
// queries and keys, and the stored operands. All blocks are trimmed: a tile of queries is multiplied with the keys its
// last row sees (causal), and only vectors that cross a border are masked.
#pragma once
#include "families.h"
#include "memory.h"
#include "operands.h"
#include "pool.h"

namespace ISA_NS {

using memory::Slot;

constexpr int kQueries = kTile > 6 ? kTile * 4 : kTile * 8;  // rows of a query block
constexpr int kKeys = 128;           // keys of a key block, a multiple of kPanel, at most kDepth
#if ISA_HAS_BF16
using AttentionBf16 = Bf16;
#else
using AttentionBf16 = RoundedF32;
#endif
constexpr float kMasked = -1e30f;
constexpr float kLn2 = 0.693147181f;  // softmax is computed with powers of two

// Whether pieces that differ in length fill the threads evenly.
static inline bool enough_pieces(int64_t pieces) { return pieces >= 4 * pool::threads(); }

// Rows start..end of the batch; padded_before = rows of all earlier spans, each rounded up to whole panels.
struct Span {
  int64_t start, end, padded_before;
  int64_t rows() const { return end - start; }
  int64_t padded() const { return ceil_div(rows(), kPanel) * kPanel; }
};

static inline int64_t count_spans(const int32_t* first_key, int64_t rows) {
  int64_t count = 0;
  for (int64_t r = 0; r < rows; r++) count += first_key[r] == r;
  return count;
}

// The spans, in `list`; returns all their rows, padded.
static inline int64_t find_spans(Span* list, const int32_t* first_key, int64_t rows) {
  int64_t count = 0, padded = 0;
  for (int64_t r = 0; r < rows; r++)
    if (first_key[r] == r) {
      if (count > 0) list[count - 1].end = r;
      list[count++] = {r, rows, 0};
    }
  for (int64_t i = 0; i < count; i++) {
    list[i].padded_before = padded;
    padded += list[i].padded();
  }
  return padded;
}

// One head's columns within rows of `stride` floats.
struct Columns {
  const float* data;
  int64_t stride;
  const float* row(int64_t r) const { return data + r * stride; }
};

struct Heads {
  AttentionShape shape;
  int64_t columns, panels, group;  // floats of a qkv row; panels of a head; query heads per key/value head
  explicit Heads(const AttentionShape& s)
      : shape(s),
        columns((s.heads + 2 * s.kv_heads) * s.head_dim),
        panels(ceil_div(s.head_dim, kPanel)),
        group(s.heads / s.kv_heads) {}
  int64_t width() const { return panels * kPanel; }
  Columns query(const float* qkv, Span span, int64_t h) const { return at(qkv, span, h); }
  Columns key(const float* qkv, Span span, int64_t g) const { return at(qkv, span, shape.heads + g); }
  Columns value(const float* qkv, Span span, int64_t g) const { return at(qkv, span, shape.heads + shape.kv_heads + g); }
  Columns output(const float* out, Span span, int64_t h) const {
    const int64_t stride = shape.heads * shape.head_dim;
    return {out + span.start * stride + h * shape.head_dim, stride};
  }

 private:
  Columns at(const float* qkv, Span span, int64_t head) const {
    return {qkv + span.start * columns + head * shape.head_dim, columns};
  }
};

// A head's rows are short pieces of long ones, which the hardware does not foresee.
ALWAYS_INLINE void fetch_row(const float* row, int64_t dim) {
  for (int64_t i = 0; i < dim; i += 16) __builtin_prefetch(row + i);
}
ALWAYS_INLINE void fetch_to_write(Columns x, int64_t first, int64_t count, int64_t dim) {
  for (int64_t r = first; r < first + count; r++)
    for (int64_t i = 0; i < dim; i += 16) __builtin_prefetch(x.row(r) + i, 1);
}

// Rows as the left operand of a product, `step` floats apart: where they stand, or copied at kRowStride as elements.
struct Rows {
  const float* data;
  int64_t step;
};
template <typename P>
constexpr bool kInPlace = kTile <= 6 && !P::kRounded;

// Rows [first, first + count) of x; `copy` holds them where they cannot be read in place.
template <typename P>
Rows left_rows(float* copy, Columns x, int64_t first, int64_t count, int64_t dim) {
  if constexpr (kInPlace<P>) {
    for (int64_t r = 0; r < count; r++) fetch_row(x.row(first + r), dim);
    return {x.row(first), x.stride};
  }
  for (int64_t r = 0; r < count; r++) {
    if (r + 8 < count) fetch_row(x.row(first + r + 8), dim);
    copy_row<P>(copy + r * kRowStride, x.row(first + r), dim, P::kRounded);
  }
  return {copy, kRowStride};
}

// Panels [dim / kPanel][count elements][kPanel] of the rows' columns, zeros past dim.
template <typename P>
void pack_rows(float* out, Columns x, int64_t first, int64_t count, int64_t dim) {
  for (int64_t c = 0; c < dim; c += kPanel, out += ceil_div(count, P::kPerElement) * kPanel)
    pack_panel<P>(out, x.row(first), x.stride, c, min64(kPanel, dim - c), count, P::kRounded);
}

// Panels [n / kPanel][dim elements][kPanel] of n rows turned into columns.
template <typename P>
void turn_rows(float* out, Columns x, int64_t n, int64_t dim) {
  for (int64_t r = 0; r < n; r += kPanel, out += ceil_div(dim, P::kPerElement) * kPanel) {
    for (int64_t next = r + kPanel; next < min64(n, r + 2 * kPanel); next++) fetch_row(x.row(next), dim);
    turn_panel<P>(out, x.row(r), x.stride, min64(kPanel, n - r), dim, P::kRounded);
  }
}

// pack_rows of every key block of a span, one behind the other: block b starts kKeys / kPerElement * width * b floats in.
template <typename P>
void pack_key_blocks(float* out, Columns x, int64_t n, int64_t dim, int64_t width) {
  for (int64_t first = 0; first < n; first += kKeys)
    pack_rows<P>(out + first / P::kPerElement * width, x, first, min64(kKeys, n - first), dim);
}

// Query rows q0..q0+rows of a span against its key block from key0.
struct Block {
  int64_t q0, rows, key0, keys;
  // Keys that the tile of rows from r sees: the first `limit` of the block.
  int64_t limit(int64_t r) const { return max64(0, min64(keys, q0 + min64(r + kTile, rows) - key0)); }
  // Keys up to which the rows of the tile hold probabilities or zeros, so that a tile of keys that begins within
  // the limit reads none that are undefined.
  int64_t filled(int64_t r) const { return min64(kKeys, ceil_div(limit(r) + kTile, kPanel) * kPanel); }
};

// scores[rows, keys] = a · turned, a in rows of `elements`.
template <typename P>
void multiply_scores(float* scores, Rows a, const float* turned, int64_t elements, const Block& block) {
  for (int64_t key = 0; key < block.keys; key += kPanel, turned += elements * kPanel)
    for (int64_t r = 0; r < block.rows; r += kTile) {
      const int64_t seen = block.limit(r) - key;
      if (seen <= 0) continue;
      const int64_t columns = seen > W ? kPanel : W;
      micro_kernel<typename P::Product, kInPlace<P> ? kAnyStep : kRowStride, 1>(min64(kTile, block.rows - r), columns)(
          elements, a.data + r * a.step, turned, scores + r * kRowStride + key, kRowStride, false, columns, a.step);
    }
}

// Scores scaled and changed, in place, for the keys that any row of a tile sees: what the softmax takes.
static inline void change_scores(float* scores, const Block& block, float scale, const ScoreChange& change, int64_t head) {
  vf lane;
  for (int i = 0; i < W; i++) lane[i] = static_cast<float>(i);
  for (int64_t r = 0; r < block.rows; r++) {
    float* row = scores + r * kRowStride;
    const float before = static_cast<float>(block.key0 - block.q0 - r);
    for (int64_t j = 0; j < block.limit(r / kTile * kTile); j += W) {
      vf s = load(row + j) * scale;
      if (change.slopes) s += change.slopes[head] * (lane + (before + static_cast<float>(j)));
      else s = change.cap * vtanh(s * (1.0f / change.cap));
      store(row + j, s);
    }
  }
}
static inline bool changes(const ScoreChange& change) { return change.slopes || change.cap > 0.0f; }

// c[rows, dim] (+)= a · panels, a in rows of key elements, panels as packed by pack_rows of the key block.
template <typename P>
void multiply_keys(float* c, const float* a, const float* panels, const Heads& heads, const Block& block, bool add) {
  const int64_t elements = ceil_div(block.keys, P::kPerElement), dim = heads.shape.head_dim, ldc = heads.width();
  for (int64_t d = 0; d < dim; d += kPanel, panels += elements * kPanel)
    for (int64_t r = 0; r < block.rows; r += kTile) {
      const int64_t depth = ceil_div(block.limit(r), P::kPerElement), columns = dim - d > W ? kPanel : W;
      if (depth == 0) continue;
      micro_kernel<typename P::Product, kRowStride, 1>(min64(kTile, block.rows - r), columns)(
          depth, a + r * kRowStride, panels, c + r * ldc + d, ldc, add, columns, 0);
    }
}

// Where row q of a span may look in a key block: [low, high], empty when low > high.
struct Window {
  int64_t low, high;
};
static inline Window window(const int32_t* first_key, Span span, const Block& block, int64_t q) {
  const int64_t first = first_key[span.start + q] - span.start - block.key0;
  return {max64(0, first), min64(block.keys - 1, q - block.key0)};
}

// scores * scale, kMasked outside the window.
ALWAYS_INLINE vf masked(const float* scores, int64_t j, Window w, float scale) {
  vi lane;
  for (int i = 0; i < W; i++) lane[i] = i;
  lane += splat_int(static_cast<int32_t>(j));
  const vi in = (lane >= splat_int(static_cast<int32_t>(w.low))) & (lane <= splat_int(static_cast<int32_t>(w.high)));
  return in ? load(scores + j) * scale : splat(kMasked);
}

// How many scores from the left need no mask, in whole vectors.
static inline int64_t unmasked(Window w) { return w.low == 0 ? (w.high + 1) / W * W : 0; }

// The first key block that any row of a query block from q0 sees.
static inline int64_t first_block(const int32_t* first_key, Span span, int64_t q0) {
  return (first_key[span.start + q0] - span.start) / kKeys;
}

// out[i] = x[i] * scale
ALWAYS_INLINE void scale_row(float* out, const float* x, int64_t n, float scale) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(out + i, load(x + i) * scale);
  if (i < n) store_partial(out + i, load_partial(x + i, n - i) * scale, n - i);
}

}  // namespace ISA_NS
