// Causal attention within documents by blocks, never a T x T matrix (Dao et al. 2022, FlashAttention), for packed rows.
// The keys and values of every (span, key/value head) are stored as panels. Where such heads are enough to fill the threads,
// each is a piece that packs and attends while its panels are in cache; else all are packed first, then every (span, query
// block, head) is a piece, so one long sequence fills all threads. Either way each row is computed alike.
// In bf16, operands are rounded, and probabilities too where the hardware multiplies bf16; softmax and its sums are f32.
#include <math.h>

#include "attention.h"

namespace ISA_NS {
namespace {

struct QueryBlock {
  int64_t span, q0;
};

// Panels of one (span, key/value head): keys turned, then values.
template <typename P>
struct Panels {
  int64_t key_floats, value_floats;  // per row
  explicit Panels(const Heads& heads)
      : key_floats(ceil_div(heads.shape.head_dim, P::kPerElement)), value_floats(heads.width() / P::kPerElement) {}
  int64_t floats(int64_t padded_rows) const { return padded_rows * (key_floats + value_floats); }
  // Of the head among those of all spans, one behind the other.
  int64_t offset(const Heads& heads, Span span, int64_t g) const {
    return floats(span.padded_before * heads.shape.kv_heads + span.padded() * g);
  }
  const float* values(const float* own, Span span) const { return own + span.padded() * key_floats; }
  void pack(float* own, const float* qkv, const Heads& heads, Span span, int64_t g) const {
    const int64_t n = span.rows(), dim = heads.shape.head_dim;
    turn_rows<P>(own, heads.key(qkv, span, g), n, dim);
    pack_key_blocks<P>(own + span.padded() * key_floats, heads.value(qkv, span, g), n, dim, heads.width());
  }
};

// Running softmax of a row, in powers of two: its greatest score so far and the sum relative to that.
struct Softmax {
  float peak, total;
};

// Takes the scores of a row into its peak; returns the factor by which what was summed before must be rescaled.
ALWAYS_INLINE float raise_peak(const float* row, Window w, float scale, Softmax& state) {
  vf top = splat(kMasked), other = top;
  const int64_t clear = unmasked(w), count = w.high + 1;
  int64_t j = 0;
  for (; j + kPanel <= clear; j += kPanel) {
    top = vmax(top, load(row + j) * scale);
    other = vmax(other, load(row + j + W) * scale);
  }
  for (; j < clear; j += W) top = vmax(top, load(row + j) * scale);
  for (; j < count; j += W) other = vmax(other, masked(row, j, w, scale));
  const float highest = reduce_max(vmax(top, other)), before = state.peak;
  if (!(highest > before)) return 1.0f;
  state.peak = highest;
  return state.total > 0.0f ? vexp2_of_low(splat(before - highest))[0] : 1.0f;  // else nothing was summed yet
}

// Turns a row's scores into unnormalised probabilities, as elements, zeros up to `filled`; adds them to the total.
template <typename P>
void soften(float* row, Window w, int64_t filled, float scale, float rescale, Softmax& state) {
  int64_t j = 0;
  if (state.peak > kMasked) {
    vf sum = {};
    const vf shift = splat(state.peak);
    const int64_t clear = unmasked(w), count = w.high + 1;
    for (; j + kPanel <= clear; j += kPanel) {
      const vf p0 = vexp2_of_low(load(row + j) * scale - shift), p1 = vexp2_of_low(load(row + j + W) * scale - shift);
      sum += p0;
      sum += p1;
      store_elements<P>(row, j, p0, p1);
    }
    for (; j < count; j += kPanel) {
      const vf p0 = vexp2_of_low(masked(row, j, w, scale) - shift);
      const vf p1 = j + W < count ? vexp2_of_low(masked(row, j + W, w, scale) - shift) : vf{};
      sum += p0;
      sum += p1;
      store_elements<P>(row, j, p0, p1);
    }
    state.total = state.total * rescale + reduce_add(sum);
  }
  for (; j < filled; j += kPanel) store_elements<P>(row, j, vf{}, vf{});
}

// `keys` and `values` are the panels of the head.
template <typename P>
void attend(float* out, float* lse, const float* qkv, const int32_t* first_key, const Heads& heads, Span span, int64_t h,
            int64_t q0, const float* keys, const float* values, float scale) {
  const ScoreChange& change = heads.shape.scores;
  const bool is_changed = changes(change);
  const float factor = is_changed ? kLog2E : scale * kLog2E;
  const int64_t n = span.rows(), dim = heads.shape.head_dim, width = heads.width();
  const int64_t elements = ceil_div(dim, P::kPerElement), rows = min64(kQueries, n - q0);
  float* query = static_cast<float*>(memory::scratch(Slot::a, kQueries * (2 * kRowStride + width) * 4));
  float* scores = query + kQueries * kRowStride;
  float* sums = scores + kQueries * kRowStride;
  Softmax softmax[kQueries];
  const Rows left = left_rows<P>(query, heads.query(qkv, span, h), q0, rows, dim);
  for (int64_t r = 0; r < rows; r++) softmax[r] = {kMasked, 0.0f};
  const Columns to = heads.output(out, span, h);
  fetch_to_write(to, q0, rows, dim);
  const int64_t from = first_block(first_key, span, q0);
  for (int64_t b = from; b * kKeys < q0 + rows; b++) {
    const Block block{q0, rows, b * kKeys, min64(kKeys, n - b * kKeys)};
    multiply_scores<P>(scores, left, keys + block.key0 * elements, elements, block);
    if (is_changed) change_scores(scores, block, scale, change, h);
    for (int64_t tile = 0; tile < rows; tile += kTile) {
      if (block.limit(tile) == 0) continue;
      const int64_t count = min64(kTile, rows - tile), filled = block.filled(tile);
      Window seen[kTile];
      float rescale[kTile];
      for (int64_t i = 0; i < count; i++) {
        seen[i] = window(first_key, span, block, q0 + tile + i);
        rescale[i] = raise_peak(scores + (tile + i) * kRowStride, seen[i], factor, softmax[tile + i]);
      }
      for (int64_t i = 0; i < count; i++) {
        const int64_t r = tile + i;
        soften<P>(scores + r * kRowStride, seen[i], filled, factor, rescale[i], softmax[r]);
        if (b > from && rescale[i] != 1.0f) scale_row(sums + r * width, sums + r * width, width, rescale[i]);
      }
    }
    multiply_keys<P>(sums, scores, values + block.key0 / P::kPerElement * width, heads, block, b > from);
  }
  for (int64_t r = 0; r < rows; r++) {
    scale_row(const_cast<float*>(to.row(q0 + r)), sums + r * width, dim, 1.0f / softmax[r].total);
    lse[h * heads.shape.rows + span.start + q0 + r] = softmax[r].peak * kLn2 + logf(softmax[r].total);
  }
}

template <typename P>
void forward_with(float* out, float* lse, const float* qkv, const int32_t* first_key, const AttentionShape& shape,
                  float scale) {
  const Heads heads(shape);
  const Panels<P> panels(heads);
  const int64_t count = count_spans(first_key, shape.rows), most_blocks = shape.rows / kQueries + count;
  const size_t span_bytes = static_cast<size_t>(count) * sizeof(Span);
  Span* spans = static_cast<Span*>(memory::scratch(Slot::b, span_bytes + static_cast<size_t>(most_blocks) * sizeof(QueryBlock)));
  const int64_t padded = find_spans(spans, first_key, shape.rows), kv_pieces = count * shape.kv_heads;
  const auto attend_with = [&](const float* own, Span span, int64_t h, int64_t q0) {
    attend<P>(out, lse, qkv, first_key, heads, span, h, q0, own, panels.values(own, span), scale);
  };
  if (enough_pieces(kv_pieces)) {
    pool::parallel_for(kv_pieces, [&](int64_t piece) {
      const Span span = spans[piece / shape.kv_heads];
      const int64_t g = piece % shape.kv_heads;
      float* own = static_cast<float*>(memory::scratch(Slot::c, static_cast<size_t>(panels.floats(span.padded())) * 4));
      panels.pack(own, qkv, heads, span, g);
      for (int64_t q0 = 0; q0 < span.rows(); q0 += kQueries)
        for (int64_t h = g * heads.group; h < (g + 1) * heads.group; h++) attend_with(own, span, h, q0);
    });
    return;
  }
  QueryBlock* blocks = reinterpret_cast<QueryBlock*>(spans + count);
  int64_t num_blocks = 0;
  for (int64_t s = 0; s < count; s++)  // longest first: they see most keys
    for (int64_t q0 = (spans[s].rows() - 1) / kQueries * kQueries; q0 >= 0; q0 -= kQueries) blocks[num_blocks++] = {s, q0};
  float* all = static_cast<float*>(memory::scratch(Slot::shared, static_cast<size_t>(panels.floats(padded * shape.kv_heads)) * 4));
  pool::parallel_for(kv_pieces, [&](int64_t piece) {
    const Span span = spans[piece / shape.kv_heads];
    const int64_t g = piece % shape.kv_heads;
    panels.pack(all + panels.offset(heads, span, g), qkv, heads, span, g);
  });
  pool::parallel_for(num_blocks * shape.heads, [&](int64_t piece) {
    const QueryBlock block = blocks[piece / shape.heads];
    const Span span = spans[block.span];
    const int64_t h = piece % shape.heads;
    attend_with(all + panels.offset(heads, span, h / heads.group), span, h, block.q0);
  });
}

void forward(float* out, float* lse, const float* qkv, const int32_t* first_key, const AttentionShape& shape, float scale,
             bool bf16) {
  if (bf16) forward_with<AttentionBf16>(out, lse, qkv, first_key, shape, scale);
  else forward_with<F32>(out, lse, qkv, first_key, shape, scale);
}

}  // namespace

void fill_attention(KernelTable& table) {
  table.attention.forward = forward;
  fill_attention_backward(table);
  fill_attention_cached(table);
}

}  // namespace ISA_NS
