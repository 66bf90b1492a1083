// The backward pass of attention by blocks, from the log-sum-exp of the forward pass (Dao et al. 2022, algorithm 4).
// A piece is (span, query head). It owns its query gradients; its share of the key and value gradients goes to scratch and
// is summed over the heads of a group in their order, so sums have one fixed order whatever the number of threads.
// Products as in the forward pass; probabilities, delta and all sums are f32.
#include "attention.h"

namespace ISA_NS {
namespace {

// Stored operands of one (span, key/value head), and the gradients of one (span, query head), in shared scratch.
template <typename P>
struct Store {
  int64_t elements, width, kv_heads, heads;
  float *panels, *gradients;
  int64_t panel_floats() const { return 2 * elements + width / P::kPerElement; }  // per row
  float* keys_turned(Span s, int64_t g) const {
    return panels + (s.padded_before * kv_heads + s.padded() * g) * panel_floats();
  }
  float* values_turned(Span s, int64_t g) const { return keys_turned(s, g) + s.padded() * elements; }
  float* key_rows(Span s, int64_t g) const { return values_turned(s, g) + s.padded() * elements; }
  float* dkey(Span s, int64_t h) const { return gradients + (s.padded_before * heads + s.padded() * h) * 2 * width; }
  float* dvalue(Span s, int64_t h) const { return dkey(s, h) + s.padded() * width; }
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

// Probabilities and score gradients of row r, zeros up to `filled`.
void differentiate_row(Work& work, int64_t r, Window w, int64_t filled, float scale) {
  float *probs = work.probs + r * kRowStride, *dscores = work.dscores + r * kRowStride;
  const vf shift = splat(work.lse[r]), delta = splat(work.delta[r]);
  const int64_t clear = unmasked(w), count = w.low > w.high ? 0 : w.high + 1;
  int64_t j = 0;
  for (; j < clear; j += W) {
    const vf p = vexp_of_low(load(probs + j) * scale - shift);
    store(probs + j, p);
    store(dscores + j, p * (load(dscores + j) - delta));
  }
  for (; j < count; j += W) {
    const vf s = masked(probs, j, w, scale);
    const vf p = vexp_of_low(s - shift);
    store(probs + j, p);
    store(dscores + j, s > splat(kMasked) ? p * (load(dscores + j) - delta) : vf{});
  }
  for (; j < filled; j += W) store(probs + j, vf{}), store(dscores + j, vf{});
}

// The rows of the block, then, for bf16, as pairs along the queries (both) and along the keys (dscores, in place).
template <typename P>
void differentiate(Work& work, const int32_t* first_key, Span span, const Block& block, float scale) {
  for (int64_t r = 0; r < block.rows; r += P::kPerElement) {
    const int64_t tile = r / kTile * kTile, filled = block.filled(tile);
    if (block.limit(tile) == 0) continue;
    for (int64_t i = r; i < min64(block.rows, r + P::kPerElement); i++)
      differentiate_row(work, i, window(first_key, span, block, block.q0 + i), filled, scale);
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

template <typename P>
void differentiate_head(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                        const int32_t* first_key, const Heads& heads, Span span, int64_t h, const Store<P>& store,
                        float scale) {
  const int64_t n = span.rows(), dim = heads.shape.head_dim, width = heads.width(), g = h / heads.group;
  const int64_t elements = store.elements;
  Work work;
  work.allocate<P>(width);
  memset(store.dkey(span, h), 0, static_cast<size_t>(2 * span.padded() * width) * 4);
  const Columns query = heads.query(qkv, span, h), to = heads.query(dqkv, span, h);
  const Columns from_out = heads.output(out, span, h), from_dout = heads.output(dout, span, h);
  for (int64_t q0 = 0; q0 < n; q0 += kQueries) {
    const int64_t rows = min64(kQueries, n - q0), from = first_block(first_key, span, q0);
    copy_rows<P>(work.query, query, q0, rows, dim);
    copy_rows<P>(work.dhead, from_dout, q0, rows, dim);
    pack_rows<P>(work.query_panels, query, q0, rows, dim);
    pack_rows<P>(work.dhead_panels, from_dout, q0, rows, dim);
    for (int64_t r = 0; r < rows; r++) {
      work.lse[r] = lse[h * heads.shape.rows + span.start + q0 + r];
      work.delta[r] = delta_of<P>(from_out.row(q0 + r), from_dout.row(q0 + r), dim);
    }
    for (int64_t b = from; b * kKeys < q0 + rows; b++) {
      const Block block{q0, rows, b * kKeys, min64(kKeys, n - b * kKeys)};
      multiply_scores<P>(work.probs, work.query, store.keys_turned(span, g) + block.key0 * elements, elements, block);
      multiply_scores<P>(work.dscores, work.dhead, store.values_turned(span, g) + block.key0 * elements, elements, block);
      differentiate<P>(work, first_key, span, block, scale);
      multiply_queries<P>(store.dvalue(span, h) + block.key0 * width, work.probs_turned, work.dhead_panels, heads, block);
      multiply_queries<P>(store.dkey(span, h) + block.key0 * width, work.dscores_turned, work.query_panels, heads, block);
      multiply_keys<P>(work.dquery, work.dscores, store.key_rows(span, g) + block.key0 / P::kPerElement * width, heads,
                       block, b > from);
    }
    for (int64_t r = 0; r < rows; r++)
      scale_row(const_cast<float*>(to.row(q0 + r)), work.dquery + r * width, dim, scale);
  }
}

// to[rows, dim] = scale times the sum of the group's gradients, in the order of the heads.
void sum_heads(Columns to, const float* first, int64_t head_floats, int64_t group, int64_t rows, int64_t dim,
               int64_t width, float scale) {
  for (int64_t r = 0; r < rows; r++) {
    float* row = const_cast<float*>(to.row(r));
    for (int64_t i = 0; i < dim; i += W) {
      vf sum = load(first + r * width + i);
      for (int64_t h = 1; h < group; h++) sum += load(first + h * head_floats + r * width + i);
      store_partial(row + i, sum * scale, min64(W, dim - i));
    }
  }
}

template <typename P>
void backward_with(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                   const int32_t* first_key, const AttentionShape& shape, float scale) {
  const Heads heads(shape);
  Store<P> store{ceil_div(shape.head_dim, P::kPerElement), heads.width(), shape.kv_heads, shape.heads, nullptr, nullptr};
  const int64_t count = count_spans(first_key, shape.rows), dim = shape.head_dim;
  Span* spans = static_cast<Span*>(memory::scratch(Slot::b, static_cast<size_t>(count) * sizeof(Span)));
  const int64_t padded = find_spans(spans, first_key, shape.rows);
  const int64_t panels = padded * shape.kv_heads * store.panel_floats(), gradients = padded * shape.heads * 2 * store.width;
  store.panels = static_cast<float*>(memory::scratch(Slot::shared, static_cast<size_t>(panels + gradients) * 4));
  store.gradients = store.panels + panels;
  pool::parallel_for(count * shape.kv_heads, [&](int64_t piece) {
    const Span span = spans[piece / shape.kv_heads];
    const int64_t g = piece % shape.kv_heads, n = span.rows();
    turn_rows<P>(store.keys_turned(span, g), heads.key(qkv, span, g), n, dim);
    turn_rows<P>(store.values_turned(span, g), heads.value(qkv, span, g), n, dim);
    pack_key_blocks<P>(store.key_rows(span, g), heads.key(qkv, span, g), n, dim, store.width);
  });
  pool::parallel_for(count * shape.heads, [&](int64_t piece) {
    differentiate_head<P>(dqkv, dout, qkv, out, lse, first_key, heads, spans[piece / shape.heads], piece % shape.heads,
                          store, scale);
  });
  pool::parallel_for(count * shape.kv_heads, [&](int64_t piece) {
    const Span span = spans[piece / shape.kv_heads];
    const int64_t g = piece % shape.kv_heads, head_floats = 2 * span.padded() * store.width;
    sum_heads(heads.key(dqkv, span, g), store.dkey(span, g * heads.group), head_floats, heads.group, span.rows(), dim,
              store.width, scale);
    sum_heads(heads.value(dqkv, span, g), store.dvalue(span, g * heads.group), head_floats, heads.group, span.rows(), dim,
              store.width, 1.0f);
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
