// Causal attention within documents by blocks, never a T x T matrix (Dao et al. 2022, FlashAttention), for packed rows;
// and attention over key/value caches. Products run on the f32 register tiles.
// Rows fall into spans that do not see each other (firstKey[r] == r starts one). A piece is (span, key/value head): it
// owns the gradients of its keys and values, so sums have one fixed order and no thread waits for another.
#include <math.h>

#include "families.h"
#include "memory.h"
#include "pool.h"
#include "tile.h"

namespace ISA_NS {
namespace {

using memory::Slot;

constexpr int kQueries = kTile * 4;             // rows of a query block
constexpr int kKeys = 128;                      // keys of a key block, a multiple of kPanel, at most kDepth
constexpr int64_t kMaxHeadDim = kDepth;
constexpr float kMasked = -1e30f;

struct Span {
  int64_t start, end;
};

struct Spans {
  Span* list;
  int64_t count;
};

Spans find_spans(const int32_t* first_key, int64_t rows) {
  Spans spans{static_cast<Span*>(memory::scratch(Slot::shared, rows * sizeof(Span))), 0};
  for (int64_t r = 0; r < rows; r++)
    if (first_key[r] == r) {
      if (spans.count > 0) spans.list[spans.count - 1].end = r;
      spans.list[spans.count++] = {r, rows};
    }
  return spans;
}

// One head's columns within rows of `stride` floats.
struct Columns {
  const float* data;
  int64_t stride;
  const float* row(int64_t r) const { return data + r * stride; }
};

// Rows [first, first + count) times `scale`, at a row stride of kRowStride.
void copy_rows(float* out, Columns x, int64_t first, int64_t count, int64_t dim, float scale) {
  for (int64_t r = 0; r < count; r++) {
    const float* from = x.row(first + r);
    for (int64_t i = 0; i < dim; i++) out[r * kRowStride + i] = from[i] * scale;
  }
}

// Panels [dim / kPanel][count][kPanel] of the rows' columns, zeros past dim.
void pack_rows(float* out, Columns x, int64_t first, int64_t count, int64_t dim, float scale) {
  for (int64_t c = 0; c < dim; c += kPanel) {
    const int64_t width = dim - c < kPanel ? dim - c : kPanel;
    for (int64_t r = 0; r < count; r++, out += kPanel) {
      const float* from = x.row(first + r) + c;
      for (int64_t i = 0; i < width; i++) out[i] = from[i] * scale;
      for (int64_t i = width; i < kPanel; i++) out[i] = 0.0f;
    }
  }
}

// Panels [count / kPanel][dim][kPanel] of the rows turned into columns, zeros past count.
void pack_turned(float* out, Columns x, int64_t first, int64_t count, int64_t dim) {
  for (int64_t r0 = 0; r0 < count; r0 += kPanel, out += dim * kPanel) {
    const int64_t width = count - r0 < kPanel ? count - r0 : kPanel;
    for (int64_t r = 0; r < width; r++) {
      const float* from = x.row(first + r0 + r);
      for (int64_t i = 0; i < dim; i++) out[i * kPanel + r] = from[i];
    }
    for (int64_t r = width; r < kPanel; r++)
      for (int64_t i = 0; i < dim; i++) out[i * kPanel + r] = 0.0f;
  }
}

// c[rows, panels * kPanel] (+)= a · panels, a [rows, depth] at kRowStride, panels [..][depth][kPanel].
void multiply(float* c, int64_t ldc, const float* a, const float* b, int64_t rows, int64_t depth, int64_t panels,
              bool add) {
  for (int64_t panel = 0; panel < panels; panel++)
    for (int64_t r = 0; r < rows; r += kTile)
      micro_kernel<F32, kRowStride, 1>(rows - r < kTile ? rows - r : kTile)(
          depth, a + r * kRowStride, b + panel * depth * kPanel, c + r * ldc + panel * kPanel, ldc, add, kPanel);
}

// c[columns of a, panels * kPanel] += aᵀ · panels, a [depth, columns] at kRowStride.
void multiply_turned(float* c, int64_t ldc, const float* a, const float* b, int64_t columns, int64_t depth,
                     int64_t panels) {
  for (int64_t panel = 0; panel < panels; panel++)
    for (int64_t r = 0; r < columns; r += kTile)
      micro_kernel<F32, 1, kRowStride>(columns - r < kTile ? columns - r : kTile)(
          depth, a + r, b + panel * depth * kPanel, c + r * ldc + panel * kPanel, ldc, true, kPanel);
}

// Where row q (within the span) may look in the key block from `key0`: [low, high], empty when low > high.
struct Window {
  int64_t low, high;
};
Window window(const int32_t* first_key, Span span, int64_t q, int64_t key0, int64_t keys) {
  const int64_t first = first_key[span.start + q] - span.start - key0, last = q - key0;
  return {first > 0 ? first : 0, last < keys - 1 ? last : keys - 1};
}

vf masked(const float* scores, int64_t j, Window w) {
  vi lane;
  for (int i = 0; i < W; i++) lane[i] = static_cast<int32_t>(j) + i;
  const vi in = (lane >= splat_int(static_cast<int32_t>(w.low))) & (lane <= splat_int(static_cast<int32_t>(w.high)));
  return in ? load(scores + j) : splat(kMasked);
}

struct Heads {
  AttentionShape shape;
  int64_t columns, panels, group;  // floats of a qkv row; panels of a head; query heads per key/value head
  explicit Heads(const AttentionShape& s)
      : shape(s),
        columns((s.heads + 2 * s.kv_heads) * s.head_dim),
        panels(ceil_div(s.head_dim, kPanel)),
        group(s.heads / s.kv_heads) {}
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

int64_t blocks_of(int64_t n) { return ceil_div(n, kKeys); }
int64_t keys_in(int64_t block, int64_t n) { return n - block * kKeys < kKeys ? n - block * kKeys : kKeys; }

// The first key block that any row of a query block from q0 sees.
int64_t first_block(const int32_t* first_key, Span span, int64_t q0) {
  return (first_key[span.start + q0] - span.start) / kKeys;
}

void forward_piece(float* out, float* lse, const float* qkv, const int32_t* first_key, const Heads& heads, Span span,
                   int64_t g, float scale) {
  const int64_t n = span.end - span.start, dim = heads.shape.head_dim, width = heads.panels * kPanel;
  const int64_t turned_floats = kKeys * dim, value_floats = kKeys * width;
  float* turned = static_cast<float*>(memory::scratch(Slot::b, blocks_of(n) * turned_floats * 4));
  float* values = static_cast<float*>(memory::scratch(Slot::c, blocks_of(n) * value_floats * 4));
  for (int64_t b = 0; b < blocks_of(n); b++) {
    pack_turned(turned + b * turned_floats, heads.key(qkv, span, g), b * kKeys, keys_in(b, n), dim);
    pack_rows(values + b * value_floats, heads.value(qkv, span, g), b * kKeys, keys_in(b, n), dim, 1.0f);
  }
  float* query = static_cast<float*>(memory::scratch(Slot::a, kQueries * (2 * kRowStride + width) * 4));
  float* scores = query + kQueries * kRowStride;
  float* sums = scores + kQueries * kRowStride;
  float peak[kQueries], total[kQueries];
  for (int64_t h = g * heads.group; h < (g + 1) * heads.group; h++)
    for (int64_t q0 = 0; q0 < n; q0 += kQueries) {
      const int64_t rows = n - q0 < kQueries ? n - q0 : kQueries;
      copy_rows(query, heads.query(qkv, span, h), q0, rows, dim, scale);
      for (int64_t r = 0; r < rows; r++) peak[r] = kMasked, total[r] = 0.0f;
      const int64_t from = first_block(first_key, span, q0);
      for (int64_t b = from; b * kKeys < q0 + rows; b++) {
        const int64_t keys = keys_in(b, n), key_panels = ceil_div(keys, kPanel);
        multiply(scores, kRowStride, query, turned + b * turned_floats, rows, dim, key_panels, false);
        for (int64_t r = 0; r < rows; r++) {
          float* row = scores + r * kRowStride;
          const Window w = window(first_key, span, q0 + r, b * kKeys, keys);
          vf top = splat(kMasked);
          for (int64_t j = 0; j < key_panels * kPanel; j += W) top = vmax(top, masked(row, j, w));
          const float highest = fmaxf(peak[r], reduce_max(top));
          vf sum = {};
          for (int64_t j = 0; j < key_panels * kPanel; j += W) {
            const vf p = highest > kMasked ? vexp(masked(row, j, w) - splat(highest)) : vf{};
            store(row + j, p);
            sum += p;
          }
          const float rescale = highest > kMasked ? reduce_add(vexp(splat(peak[r] - highest))) / W : 1.0f;
          total[r] = total[r] * rescale + reduce_add(sum);
          peak[r] = highest;
          if (b > from)
            for (int64_t i = 0; i < width; i += W) store(sums + r * width + i, load(sums + r * width + i) * rescale);
        }
        multiply(sums, width, scores, values + b * value_floats, rows, keys, heads.panels, b > from);
      }
      const Columns to = heads.output(out, span, h);
      for (int64_t r = 0; r < rows; r++) {
        float* row = const_cast<float*>(to.row(q0 + r));
        const float inverse = 1.0f / total[r];
        for (int64_t i = 0; i < dim; i++) row[i] = sums[r * width + i] * inverse;
        lse[h * heads.shape.rows + span.start + q0 + r] = peak[r] + logf(total[r]);
      }
    }
}

void backward_piece(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                    const int32_t* first_key, const Heads& heads, Span span, int64_t g, float scale) {
  const int64_t n = span.end - span.start, dim = heads.shape.head_dim, width = heads.panels * kPanel;
  const int64_t turned_floats = kKeys * dim, row_floats = kKeys * width, blocks = blocks_of(n);
  float* keys_turned = static_cast<float*>(memory::scratch(Slot::b, blocks * (2 * turned_floats + row_floats) * 4));
  float* values_turned = keys_turned + blocks * turned_floats;
  float* key_rows = values_turned + blocks * turned_floats;
  const Columns key = heads.key(qkv, span, g), value = heads.value(qkv, span, g);
  for (int64_t b = 0; b < blocks; b++) {
    pack_turned(keys_turned + b * turned_floats, key, b * kKeys, keys_in(b, n), dim);
    pack_turned(values_turned + b * turned_floats, value, b * kKeys, keys_in(b, n), dim);
    pack_rows(key_rows + b * row_floats, key, b * kKeys, keys_in(b, n), dim, 1.0f);
  }
  float* dkey = static_cast<float*>(memory::scratch(Slot::c, 2 * blocks * kKeys * width * 4));
  float* dvalue = dkey + blocks * kKeys * width;
  memset(dkey, 0, static_cast<size_t>(2 * blocks * kKeys * width) * 4);
  float* query = static_cast<float*>(memory::scratch(Slot::a, kQueries * (4 * kRowStride + 3 * width) * 4));
  float* dhead = query + kQueries * kRowStride;
  float* probs = dhead + kQueries * kRowStride;
  float* dscores = probs + kQueries * kRowStride;
  float* query_panels = dscores + kQueries * kRowStride;
  float* dhead_panels = query_panels + kQueries * width;
  float* dquery = dhead_panels + kQueries * width;
  float delta[kQueries];
  for (int64_t h = g * heads.group; h < (g + 1) * heads.group; h++)
    for (int64_t q0 = 0; q0 < n; q0 += kQueries) {
      const int64_t rows = n - q0 < kQueries ? n - q0 : kQueries;
      const Columns from_out = heads.output(out, span, h), from_dout = heads.output(dout, span, h);
      const float* row_lse = lse + h * heads.shape.rows + span.start + q0;
      copy_rows(query, heads.query(qkv, span, h), q0, rows, dim, scale);
      copy_rows(dhead, from_dout, q0, rows, dim, 1.0f);
      pack_rows(query_panels, heads.query(qkv, span, h), q0, rows, dim, scale);
      pack_rows(dhead_panels, from_dout, q0, rows, dim, 1.0f);
      for (int64_t r = 0; r < rows; r++) {
        float dot = 0.0f;
        for (int64_t i = 0; i < dim; i++) dot += from_out.row(q0 + r)[i] * from_dout.row(q0 + r)[i];
        delta[r] = dot;
      }
      const int64_t from = first_block(first_key, span, q0);
      for (int64_t b = from; b * kKeys < q0 + rows; b++) {
        const int64_t keys = keys_in(b, n), key_panels = ceil_div(keys, kPanel);
        multiply(probs, kRowStride, query, keys_turned + b * turned_floats, rows, dim, key_panels, false);
        multiply(dscores, kRowStride, dhead, values_turned + b * turned_floats, rows, dim, key_panels, false);
        for (int64_t r = 0; r < rows; r++) {
          const Window w = window(first_key, span, q0 + r, b * kKeys, keys);
          float *p_row = probs + r * kRowStride, *d_row = dscores + r * kRowStride;
          for (int64_t j = 0; j < key_panels * kPanel; j += W) {
            const vf p = vexp(masked(p_row, j, w) - splat(row_lse[r]));
            store(p_row + j, p);
            store(d_row + j, p * (load(d_row + j) - splat(delta[r])));
          }
        }
        multiply_turned(dvalue + b * kKeys * width, width, probs, dhead_panels, keys, rows, heads.panels);
        multiply_turned(dkey + b * kKeys * width, width, dscores, query_panels, keys, rows, heads.panels);
        multiply(dquery, width, dscores, key_rows + b * row_floats, rows, keys, heads.panels, b > from);
      }
      const Columns to = heads.query(dqkv, span, h);
      for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < dim; i++) const_cast<float*>(to.row(q0 + r))[i] = dquery[r * width + i] * scale;
    }
  const Columns to_key = heads.key(dqkv, span, g), to_value = heads.value(dqkv, span, g);
  for (int64_t r = 0; r < n; r++)
    for (int64_t i = 0; i < dim; i++) {
      const_cast<float*>(to_key.row(r))[i] = dkey[r * width + i];
      const_cast<float*>(to_value.row(r))[i] = dvalue[r * width + i];
    }
}

void forward(float* out, float* lse, const float* qkv, const int32_t* first_key, const AttentionShape& shape,
             float scale) {
  const Heads heads(shape);
  const Spans spans = find_spans(first_key, shape.rows);
  pool::parallel_for(spans.count * shape.kv_heads, [&](int64_t piece) {
    forward_piece(out, lse, qkv, first_key, heads, spans.list[piece / shape.kv_heads], piece % shape.kv_heads, scale);
  });
}

void backward(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
              const int32_t* first_key, const AttentionShape& shape, float scale) {
  const Heads heads(shape);
  const Spans spans = find_spans(first_key, shape.rows);
  pool::parallel_for(spans.count * shape.kv_heads, [&](int64_t piece) {
    backward_piece(dqkv, dout, qkv, out, lse, first_key, heads, spans.list[piece / shape.kv_heads], piece % shape.kv_heads,
                   scale);
  });
}

float dot(const float* a, const float* b, int64_t n) {
  vf sum = {};
  int64_t i = 0;
  for (; i + W <= n; i += W) sum += load(a + i) * load(b + i);
  if (i < n) sum += load_partial(a + i, n - i) * load_partial(b + i, n - i);
  return reduce_add(sum);
}

void cached_row(float* out, const float* keys, const float* values, const float* query, int64_t row_stride,
                int64_t count, int64_t dim, float scale) {
  float* scores = static_cast<float*>(memory::scratch(Slot::a, (count + W) * 4));
  float top = kMasked;
  for (int64_t j = 0; j < count; j++) {
    scores[j] = dot(query, keys + j * row_stride, dim) * scale;
    top = fmaxf(top, scores[j]);
  }
  for (int64_t j = count; j < count + W; j++) scores[j] = kMasked;
  vf sum = {};
  for (int64_t j = 0; j < count; j += W) {
    const vf p = vexp(load(scores + j) - splat(top));
    store(scores + j, p);
    sum += p;
  }
  const float inverse = 1.0f / reduce_add(sum);
  for (int64_t i = 0; i < dim; i += W) {
    const int64_t width = dim - i < W ? dim - i : W;
    vf acc = {};
    for (int64_t j = 0; j < count; j++) {
      const float* value = values + j * row_stride + i;
      acc += splat(scores[j]) * (width == W ? load(value) : load_partial(value, width));
    }
    store_partial(out + i, acc * splat(inverse), width);
  }
}

void cached(float* out, float* key_cache, float* value_cache, const float* qkv, const int32_t* slots,
            const int32_t* positions, const AttentionShape& shape, int64_t cache_length, float scale) {
  const int64_t dim = shape.head_dim, row = shape.kv_heads * dim, columns = (shape.heads + 2 * shape.kv_heads) * dim;
  for (int64_t r = 0; r < shape.rows; r++) {
    const float* key = qkv + r * columns + shape.heads * dim;
    const int64_t at = (slots[r] * cache_length + positions[r]) * row;
    memcpy(key_cache + at, key, static_cast<size_t>(row) * 4);
    memcpy(value_cache + at, key + row, static_cast<size_t>(row) * 4);
  }
  const int64_t group = shape.heads / shape.kv_heads;
  pool::parallel_for(shape.rows * shape.kv_heads, [&](int64_t piece) {
    const int64_t r = piece / shape.kv_heads, g = piece % shape.kv_heads;
    const int64_t at = slots[r] * cache_length * row + g * dim;
    for (int64_t h = g * group; h < (g + 1) * group; h++)
      cached_row(out + (r * shape.heads + h) * dim, key_cache + at, value_cache + at, qkv + r * columns + h * dim, row,
                 positions[r] + 1, dim, scale);
  });
}

}  // namespace

void fill_attention(KernelTable& table) { table.attention = {forward, backward, cached}; }

}  // namespace ISA_NS
