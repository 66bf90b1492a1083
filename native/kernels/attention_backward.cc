// The backward pass of attention by blocks, from the log-sum-exp of the forward pass (Dao et al. 2022, algorithm 4).
// A query head of a span owns its query gradients; its share of the key and value gradients goes to scratch and is summed
// over the heads of a group in their order, so sums have one fixed order whatever the pieces and threads. Where (span,
// key/value head) pairs are enough to fill the threads, each is a piece whose scratch stays in cache; else a piece is (span,
// query head), between two passes over all.
// Products as in the forward pass; probabilities, delta and all sums are f32.
#include "attention.h"

namespace ISA_NS {
namespace {

// Operands of one (span, key/value head): keys turned, values turned, key rows; and the gradients of one (span, query
// head): of the keys, of the values.
template <typename P>
struct Layout {
  int64_t elements, width;
  explicit Layout(const Heads& heads) : elements(ceil_div(heads.shape.head_dim, P::kPerElement)), width(heads.width()) {}
  int64_t panel_floats(int64_t padded_rows) const { return padded_rows * (2 * elements + width / P::kPerElement); }
  int64_t gradient_floats(int64_t padded_rows) const { return padded_rows * 2 * width; }
  const float* values_turned(const float* panels, Span span) const { return panels + span.padded() * elements; }
  const float* key_rows(const float* panels, Span span) const { return panels + span.padded() * 2 * elements; }
  float* dvalue(float* gradients, Span span) const { return gradients + span.padded() * width; }
  void pack(float* panels, const float* qkv, const Heads& heads, Span span, int64_t g) const {
    const int64_t n = span.rows(), dim = heads.shape.head_dim;
    turn_rows<P>(panels, heads.key(qkv, span, g), n, dim);
    turn_rows<P>(panels + span.padded() * elements, heads.value(qkv, span, g), n, dim);
    pack_key_blocks<P>(panels + span.padded() * 2 * elements, heads.key(qkv, span, g), n, dim, width);
  }
};

// One query block's operands and scores. `*_turned` hold what is multiplied along the queries: the rows themselves for
// floats, pairs of rows for bf16.
struct Work {
  float *query, *dhead, *probs, *dscores, *probs_turned, *dscores_turned, *query_panels, *dhead_panels, *dquery;
  float lse[kQueries], delta[kQueries];
  template <typename P>
  void allocate(int64_t width) {
    constexpr int64_t rows = kQueries * kRowStride;
    query = static_cast<float*>(memory::scratch(Slot::a, (5 * rows + 3 * kQueries * width) * 4));
    dhead = query + rows, probs = dhead + rows, dscores = probs + rows;
    probs_turned = P::kPerElement == 1 ? probs : dscores + rows;
    dscores_turned = P::kPerElement == 1 ? dscores : probs_turned + rows / 2;
    query_panels = dscores + 2 * rows, dhead_panels = query_panels + kQueries * width;
    dquery = dhead_panels + kQueries * width;
  }
};

// The sum over a row of out * dout, dout as the products see it.
template <typename P>
float delta_of(const float* out, const float* dout, int64_t dim) {
  vf sum = {};
  for (int64_t i = 0; i < dim; i += W) {
    const int64_t left = dim - i;
    const vf o = left >= W ? load(out + i) : load_partial(out + i, left);
    const vf d = left >= W ? load(dout + i) : load_partial(dout + i, left);
    sum += o * (P::kRounded ? round_bf16(d) : d);
  }
  return reduce_add(sum);
}

// Probabilities and score gradients of row r, zeros up to `filled`. Here `scale` and the log-sum-exp include kLog2E. Where
// scores are capped (`inverse` = 1 / cap), the gradient passes through cap · tanh(s / cap), whose slope is 1 - (score / cap)².
template <bool capped>
void differentiate_row(Work& work, int64_t r, Window w, int64_t filled, float scale, float inverse) {
  float *probs = work.probs + r * kRowStride, *dscores = work.dscores + r * kRowStride;
  const vf shift = splat(work.lse[r]), delta = splat(work.delta[r]);
  const int64_t clear = unmasked(w), count = w.low > w.high ? 0 : w.high + 1;
  const auto slope = [&](vf s) { return capped ? 1.0f - s * s * (inverse * inverse) : splat(1.0f); };
  int64_t j = 0;
  for (; j < clear; j += W) {
    const vf s = load(probs + j), p = vexp2_of_low(s * scale - shift);
    store(probs + j, p);
    store(dscores + j, p * (load(dscores + j) - delta) * slope(s));
  }
  for (; j < count; j += W) {
    const vf before = load(probs + j), s = masked(probs, j, w, scale), p = vexp2_of_low(s - shift);
    store(probs + j, p);
    store(dscores + j, s > splat(kMasked) ? p * (load(dscores + j) - delta) * slope(before) : vf{});
  }
  for (; j < filled; j += W) store(probs + j, vf{}), store(dscores + j, vf{});
}

// The rows of the block, then, for bf16, as pairs along the queries (both) and along the keys (dscores, in place).
template <typename P>
void differentiate(Work& work, const int32_t* first_key, Span span, const Block& block, float scale, float cap) {
  const auto of_row = cap > 0.0f ? differentiate_row<true> : differentiate_row<false>;
  const float inverse = cap > 0.0f ? 1.0f / cap : 0.0f;
  for (int64_t r = 0; r < block.rows; r += P::kPerElement) {
    const int64_t tile = r / kTile * kTile, filled = block.filled(tile);
    if (block.limit(tile) == 0) continue;
    for (int64_t i = r; i < min64(block.rows, r + P::kPerElement); i++)
      of_row(work, i, window(first_key, span, block, block.q0 + i), filled, scale, inverse);
    if constexpr (P::kPerElement == 2) {
      const bool both = r + 1 < block.rows;
      float *probs = work.probs + r * kRowStride, *dscores = work.dscores + r * kRowStride;
      float *probs_pairs = work.probs_turned + r / 2 * kRowStride, *dscores_pairs = work.dscores_turned + r / 2 * kRowStride;
      for (int64_t j = 0; j < filled; j += kPanel) {
        vf low[2], high[2] = {};
        for (int v = 0; v < 2; v++) {
          const int64_t at = j + v * W;
          low[v] = load(dscores + at);
          if (both) high[v] = load(dscores + kRowStride + at);
          store(dscores_pairs + at, join_rows<P>(low[v], high[v], false));
          store(probs_pairs + at, join_rows<P>(load(probs + at), both ? load(probs + kRowStride + at) : vf{}, false));
        }
        store_elements<P>(dscores, j, low[0], low[1]);
        if (both) store_elements<P>(dscores + kRowStride, j, high[0], high[1]);
      }
    }
  }
}

// c[keys, dim] += aᵀ · panels: along the queries that see each tile of keys.
template <typename P>
void multiply_queries(float* c, const float* a, const float* panels, const Heads& heads, const Block& block) {
  const int64_t elements = ceil_div(block.rows, P::kPerElement), dim = heads.shape.head_dim, ldc = heads.width();
  for (int64_t d = 0; d < dim; d += kPanel, panels += elements * kPanel)
    for (int64_t key = 0; key < block.keys; key += kTile) {
      const int64_t first = max64(0, block.key0 + key - block.q0) / P::kPerElement, columns = dim - d > W ? kPanel : W;
      if (first >= elements) break;
      micro_kernel<typename P::Product, 1, kRowStride>(min64(kTile, block.keys - key), columns)(
          elements - first, a + first * kRowStride + key, panels + first * kPanel, c + key * ldc + d, ldc, true, columns, 0);
    }
}

// `gradients` are this head's, and are overwritten.
template <typename P>
void differentiate_head(float* dqkv, float* gradients, const float* dout, const float* qkv, const float* out,
                        const float* lse, const int32_t* first_key, const Heads& heads, Span span, int64_t h,
                        const Layout<P>& layout, const float* panels, float scale) {
  const ScoreChange& change = heads.shape.scores;
  const bool is_changed = changes(change);
  const int64_t n = span.rows(), dim = heads.shape.head_dim, width = layout.width, elements = layout.elements;
  const float *values_turned = layout.values_turned(panels, span), *key_rows = layout.key_rows(panels, span);
  float *dkey = gradients, *dvalue = layout.dvalue(gradients, span);
  Work work;
  work.allocate<P>(width);
  memset(gradients, 0, static_cast<size_t>(layout.gradient_floats(span.padded())) * 4);
  const Columns query = heads.query(qkv, span, h), to = heads.query(dqkv, span, h);
  const Columns from_out = heads.output(out, span, h), from_dout = heads.output(dout, span, h);
  for (int64_t q0 = 0; q0 < n; q0 += kQueries) {
    const int64_t rows = min64(kQueries, n - q0), from = first_block(first_key, span, q0);
    const Rows query_rows = left_rows<P>(work.query, query, q0, rows, dim);
    const Rows dhead_rows = left_rows<P>(work.dhead, from_dout, q0, rows, dim);
    pack_rows<P>(work.query_panels, query, q0, rows, dim);
    pack_rows<P>(work.dhead_panels, from_dout, q0, rows, dim);
    for (int64_t r = 0; r < rows; r++) {
      work.lse[r] = lse[h * heads.shape.rows + span.start + q0 + r] * kLog2E;
      work.delta[r] = delta_of<P>(from_out.row(q0 + r), from_dout.row(q0 + r), dim);
    }
    fetch_to_write(to, q0, rows, dim);
    for (int64_t b = from; b * kKeys < q0 + rows; b++) {
      const Block block{q0, rows, b * kKeys, min64(kKeys, n - b * kKeys)};
      multiply_scores<P>(work.probs, query_rows, panels + block.key0 * elements, elements, block);
      multiply_scores<P>(work.dscores, dhead_rows, values_turned + block.key0 * elements, elements, block);
      if (is_changed) change_scores(work.probs, block, scale, change, h);
      differentiate<P>(work, first_key, span, block, is_changed ? kLog2E : scale * kLog2E, change.cap);
      multiply_queries<P>(dvalue + block.key0 * width, work.probs_turned, work.dhead_panels, heads, block);
      multiply_queries<P>(dkey + block.key0 * width, work.dscores_turned, work.query_panels, heads, block);
      multiply_keys<P>(work.dquery, work.dscores, key_rows + block.key0 / P::kPerElement * width, heads, block, b > from);
    }
    for (int64_t r = 0; r < rows; r++)
      scale_row(const_cast<float*>(to.row(q0 + r)), work.dquery + r * width, dim, scale);
  }
}

// to[rows, dim] = scale times the sum of the group's gradients, in the order of the heads.
void sum_heads(Columns to, const float* first, int64_t head_floats, int64_t group, int64_t rows, int64_t dim,
               int64_t width, float scale) {
  constexpr int64_t kAhead = 16;
  fetch_to_write(to, 0, min64(kAhead, rows), dim);
  for (int64_t r = 0; r < rows; r++) {
    if (r + kAhead < rows) fetch_to_write(to, r + kAhead, 1, dim);
    float* row = const_cast<float*>(to.row(r));
    for (int64_t i = 0; i < dim; i += W) {
      vf sum = load(first + r * width + i);
      for (int64_t h = 1; h < group; h++) sum += load(first + h * head_floats + r * width + i);
      if (dim - i >= W) store(row + i, sum * scale);
      else store_partial(row + i, sum * scale, dim - i);
    }
  }
}

template <typename P>
void backward_with(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                   const int32_t* first_key, const AttentionShape& shape, float scale) {
  const Heads heads(shape);
  const Layout<P> layout(heads);
  const int64_t count = count_spans(first_key, shape.rows), dim = shape.head_dim, pieces = count * shape.kv_heads;
  Span* spans = static_cast<Span*>(memory::scratch(Slot::b, static_cast<size_t>(count) * sizeof(Span)));
  const int64_t padded = find_spans(spans, first_key, shape.rows);
  const auto differentiate = [&](float* gradients, const float* panels, Span span, int64_t h) {
    differentiate_head<P>(dqkv, gradients, dout, qkv, out, lse, first_key, heads, span, h, layout, panels, scale);
  };
  const auto sum_group = [&](const float* gradients, Span span, int64_t g) {
    const int64_t head_floats = layout.gradient_floats(span.padded()), n = span.rows(), width = layout.width;
    sum_heads(heads.key(dqkv, span, g), gradients, head_floats, heads.group, n, dim, width, scale);
    sum_heads(heads.value(dqkv, span, g), gradients + span.padded() * width, head_floats, heads.group, n, dim, width, 1.0f);
  };
  if (enough_pieces(pieces)) {
    pool::parallel_for(pieces, [&](int64_t piece) {
      const Span span = spans[piece / shape.kv_heads];
      const int64_t g = piece % shape.kv_heads, head_floats = layout.gradient_floats(span.padded());
      const int64_t panel_floats = layout.panel_floats(span.padded());
      float* panels = static_cast<float*>(memory::scratch(Slot::c, static_cast<size_t>(panel_floats + heads.group * head_floats) * 4));
      float* gradients = panels + panel_floats;
      layout.pack(panels, qkv, heads, span, g);
      for (int64_t i = 0; i < heads.group; i++) differentiate(gradients + i * head_floats, panels, span, g * heads.group + i);
      sum_group(gradients, span, g);
    });
    return;
  }
  // Panels and gradients of all heads, one behind the other.
  const int64_t all_panels = layout.panel_floats(padded * shape.kv_heads), all_gradients = layout.gradient_floats(padded * shape.heads);
  float* all = static_cast<float*>(memory::scratch(Slot::shared, static_cast<size_t>(all_panels + all_gradients) * 4));
  const auto panels_of = [&](Span span, int64_t g) {
    return all + layout.panel_floats(span.padded_before * shape.kv_heads + span.padded() * g);
  };
  const auto gradients_of = [&](Span span, int64_t h) {
    return all + all_panels + layout.gradient_floats(span.padded_before * shape.heads + span.padded() * h);
  };
  pool::parallel_for(pieces, [&](int64_t piece) {
    const Span span = spans[piece / shape.kv_heads];
    const int64_t g = piece % shape.kv_heads;
    layout.pack(panels_of(span, g), qkv, heads, span, g);
  });
  pool::parallel_for(count * shape.heads, [&](int64_t piece) {
    const Span span = spans[piece / shape.heads];
    const int64_t h = piece % shape.heads;
    differentiate(gradients_of(span, h), panels_of(span, h / heads.group), span, h);
  });
  pool::parallel_for(pieces, [&](int64_t piece) {
    const Span span = spans[piece / shape.kv_heads];
    const int64_t g = piece % shape.kv_heads;
    sum_group(gradients_of(span, g * heads.group), span, g);
  });
}

void backward(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
              const int32_t* first_key, const AttentionShape& shape, float scale, bool bf16) {
  if (bf16) backward_with<AttentionBf16>(dqkv, dout, qkv, out, lse, first_key, shape, scale);
  else backward_with<F32>(dqkv, dout, qkv, out, lse, first_key, shape, scale);
}

}  // namespace

void fill_attention_backward(KernelTable& table) { table.attention.backward = backward; }

}  // namespace ISA_NS
