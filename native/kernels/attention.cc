// Causal attention within documents by blocks, never a T x T matrix (Dao et al. 2022, FlashAttention), for packed rows.
// First the keys and values of every (span, key/value head) are stored as panels; then every (span, query block, head) is a
// piece of its own, so one long sequence fills all threads. In bf16, operands are rounded, and probabilities too where the
// hardware multiplies bf16; softmax and its sums are always f32.
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
  int64_t floats(int64_t padded_rows, int64_t kv_heads) const {
    return padded_rows * kv_heads * (key_floats + value_floats);
  }
  float* keys(float* all, const Heads& heads, Span span, int64_t g) const {
    return all + floats(span.padded_before, heads.shape.kv_heads) + floats(span.padded(), g);
  }
  float* values(float* all, const Heads& heads, Span span, int64_t g) const {
    return keys(all, heads, span, g) + span.padded() * key_floats;
  }
};

// Running maximum and sum of a row's softmax.
struct Softmax {
  float peak, total;
};

// Turns a row's scores into unnormalised probabilities, as elements, zeros up to `filled`; returns the factor by which what
// was summed before must be rescaled.
template <typename P>
float soften(float* row, Window w, int64_t filled, float scale, Softmax& state) {
  vf top = splat(kMasked);
  const int64_t clear = unmasked(w), count = w.high + 1;
  for (int64_t j = 0; j < clear; j += W) top = vmax(top, load(row + j) * scale);
  for (int64_t j = clear; j < count; j += W) top = vmax(top, masked(row, j, w, scale));
  const float reached = reduce_max(top), highest = reached > state.peak ? reached : state.peak;
  if (!(highest > kMasked)) {
    for (int64_t j = 0; j < filled; j += W) store(row + j, vf{});
    return 1.0f;
  }
  vf sum = {};
  const vf shift = splat(highest);
  int64_t j = 0;
  for (; j < count; j += kPanel) {
    vf p0, p1;
    if (j + kPanel <= clear) {
      p0 = vexp_of_low(load(row + j) * scale - shift);
      p1 = vexp_of_low(load(row + j + W) * scale - shift);
    } else {
      p0 = vexp_of_low(masked(row, j, w, scale) - shift);
      p1 = j + W < count ? vexp_of_low(masked(row, j + W, w, scale) - shift) : vf{};
    }
    sum += p0;
    sum += p1;
    store_elements<P>(row, j, p0, p1);
  }
  for (; j < filled; j += kPanel) store_elements<P>(row, j, vf{}, vf{});
  const bool seen = state.total > 0.0f;  // else nothing was summed yet
  const float rescale = seen && highest > state.peak ? vexp_of_low(splat(state.peak - highest))[0] : 1.0f;
  state.total = state.total * rescale + reduce_add(sum);
  state.peak = highest;
  return rescale;
}

template <typename P>
void attend(float* out, float* lse, const float* qkv, const int32_t* first_key, const Heads& heads, Span span, int64_t h,
            int64_t q0, const float* keys, const float* values, float scale) {
  const int64_t n = span.rows(), dim = heads.shape.head_dim, width = heads.width();
  const int64_t elements = ceil_div(dim, P::kPerElement), rows = min64(kQueries, n - q0);
  float* query = static_cast<float*>(memory::scratch(Slot::a, kQueries * (2 * kRowStride + width) * 4));
  float* scores = query + kQueries * kRowStride;
  float* sums = scores + kQueries * kRowStride;
  Softmax softmax[kQueries];
  copy_rows<P>(query, heads.query(qkv, span, h), q0, rows, dim);
  for (int64_t r = 0; r < rows; r++) softmax[r] = {kMasked, 0.0f};
  const int64_t from = first_block(first_key, span, q0);
  for (int64_t b = from; b * kKeys < q0 + rows; b++) {
    const Block block{q0, rows, b * kKeys, min64(kKeys, n - b * kKeys)};
    multiply_scores<P>(scores, query, keys + block.key0 * elements, elements, block);
    for (int64_t r = 0; r < rows; r++) {
      const int64_t tile = r / kTile * kTile;
      if (block.limit(tile) == 0) continue;
      const float rescale = soften<P>(scores + r * kRowStride, window(first_key, span, block, q0 + r),
                                      block.filled(tile), scale, softmax[r]);
      if (b > from && rescale != 1.0f) scale_row(sums + r * width, sums + r * width, width, rescale);
    }
    multiply_keys<P>(sums, scores, values + block.key0 / P::kPerElement * width, heads, block, b > from);
  }
  const Columns to = heads.output(out, span, h);
  for (int64_t r = 0; r < rows; r++) {
    scale_row(const_cast<float*>(to.row(q0 + r)), sums + r * width, dim, 1.0f / softmax[r].total);
    lse[h * heads.shape.rows + span.start + q0 + r] = softmax[r].peak + logf(softmax[r].total);
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
  const int64_t padded = find_spans(spans, first_key, shape.rows);
  QueryBlock* blocks = reinterpret_cast<QueryBlock*>(spans + count);
  int64_t num_blocks = 0;
  for (int64_t s = 0; s < count; s++)  // longest first: they see most keys
    for (int64_t q0 = (spans[s].rows() - 1) / kQueries * kQueries; q0 >= 0; q0 -= kQueries) blocks[num_blocks++] = {s, q0};
  float* all = static_cast<float*>(memory::scratch(Slot::shared, static_cast<size_t>(panels.floats(padded, shape.kv_heads)) * 4));
  pool::parallel_for(count * shape.kv_heads, [&](int64_t piece) {
    const Span span = spans[piece / shape.kv_heads];
    const int64_t g = piece % shape.kv_heads;
    turn_rows<P>(panels.keys(all, heads, span, g), heads.key(qkv, span, g), span.rows(), shape.head_dim);
    pack_key_blocks<P>(panels.values(all, heads, span, g), heads.value(qkv, span, g), span.rows(), shape.head_dim, heads.width());
  });
  pool::parallel_for(num_blocks * shape.heads, [&](int64_t piece) {
    const QueryBlock block = blocks[piece / shape.heads];
    const Span span = spans[block.span];
    const int64_t h = piece % shape.heads, g = h / heads.group;
    attend<P>(out, lse, qkv, first_key, heads, span, h, block.q0, panels.keys(all, heads, span, g),
              panels.values(all, heads, span, g), scale);
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
