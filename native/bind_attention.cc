#include "arguments.h"

namespace {

// The shape, and the lengths of arrays of that shape.
struct Heads {
  Size rows, kv_row, out_floats, lse_floats, qkv_floats;
  AttentionShape shape;
};

// Arguments i..i+3: rows, heads, kvHeads, headDim.
Heads heads_at(Arguments& a, int i) {
  const Size rows = a.size(i, "rows"), heads = a.size(i + 1, "heads"), kv_heads = a.size(i + 2, "kvHeads"),
             head_dim = a.size(i + 3, "headDim");
  if (heads < 1 || kv_heads < 1 || heads % kv_heads != 0) a.fail("heads are no multiple of kvHeads");
  if (head_dim < 8 || head_dim > 256 || head_dim % 8 != 0) a.fail("headDim must be a multiple of 8, at most 256");
  const Size qkv_row = (heads + kv_heads * Size(2)) * head_dim;
  return {rows,        kv_heads * head_dim, rows * heads * head_dim,          rows * heads,
          rows * qkv_row, {rows, heads, kv_heads, head_dim, {}}};
}

// Arguments i, i + 1: slopes or null, cap.
ScoreChange scores_at(Arguments& a, int i, const AttentionShape& shape) {
  const float* slopes = a.f32_or_null(i, "slopes", Size(shape.heads));
  const float cap = static_cast<float>(a.number(i + 1, "cap"));
  if (!(cap >= 0.0f)) a.fail("cap must be 0 or more");
  if (slopes && cap > 0.0f) a.fail("slopes and cap together are not supported");
  return {slopes, cap};
}

const int32_t* first_key_at(Arguments& a, int i, Size rows) {
  const int32_t* first_key = a.i32(i, "firstKey", rows);
  for (int64_t r = 0; r < rows; r++)
    if (first_key[r] < 0 || first_key[r] > r || (r > 0 && first_key[r] < first_key[r - 1]))
      a.fail("firstKey must ascend and not exceed its row");
  return first_key;
}

// (out, lse, qkv, firstKey, shape x4, scale, bf16, slopes, cap)
napi_value forward(Arguments& a, const KernelTable& table) {
  Heads h = heads_at(a, 4);
  h.shape.scores = scores_at(a, 10, h.shape);
  float *out = a.f32(0, "out", h.out_floats), *lse = a.f32(1, "lse", h.lse_floats);
  const float* qkv = a.f32(2, "qkv", h.qkv_floats);
  const int32_t* first_key = first_key_at(a, 3, h.rows);
  const float scale = static_cast<float>(a.number(8, "scale"));
  if (h.rows > 0) table.attention.forward(out, lse, qkv, first_key, h.shape, scale, a.flag(9));
  return nullptr;
}

// (dqkv, dout, qkv, out, lse, firstKey, shape x4, scale, bf16, slopes, cap)
napi_value backward(Arguments& a, const KernelTable& table) {
  Heads h = heads_at(a, 6);
  h.shape.scores = scores_at(a, 12, h.shape);
  float* dqkv = a.f32(0, "dqkv", h.qkv_floats);
  const float *dout = a.f32(1, "dout", h.out_floats), *qkv = a.f32(2, "qkv", h.qkv_floats);
  const float *out = a.f32(3, "out", h.out_floats), *lse = a.f32(4, "lse", h.lse_floats);
  const int32_t* first_key = first_key_at(a, 5, h.rows);
  const float scale = static_cast<float>(a.number(10, "scale"));
  if (h.rows > 0) table.attention.backward(dqkv, dout, qkv, out, lse, first_key, h.shape, scale, a.flag(11));
  return nullptr;
}

// A cache may hold more slots than the rows of this call use.
float* cache_at(Arguments& a, int i, const char* name, Size least) {
  float* cache = a.f32(i, name);
  if (a.length(i) < least) a.fail(std::string(name) + " is too short for the slots");
  return cache;
}

// (out, keyCache, valueCache, qkv, slots, positions, shape x4, cacheLength, scale, window, slopes, cap)
napi_value cached(Arguments& a, const KernelTable& table) {
  Heads h = heads_at(a, 6);
  h.shape.scores = scores_at(a, 13, h.shape);
  const Size length = a.size(10, "cacheLength"), window = a.size(12, "window");
  const int32_t *slots = a.i32(4, "slots", h.rows), *positions = a.i32(5, "positions", h.rows);
  int64_t used = 0;
  for (int64_t r = 0; r < h.rows; r++) {
    if (slots[r] < 0 || positions[r] < 0 || positions[r] >= length) a.fail("a row lies outside the cache");
    if (slots[r] >= used) used = int64_t{slots[r]} + 1;
  }
  const Size least = Size(used) * length * h.kv_row;
  float *out = a.f32(0, "out", h.out_floats), *keys = cache_at(a, 1, "keyCache", least),
        *values = cache_at(a, 2, "valueCache", least);
  const float* qkv = a.f32(3, "qkv", h.qkv_floats);
  const float scale = static_cast<float>(a.number(11, "scale"));
  if (h.rows > 0) table.attention.cached(out, keys, values, qkv, slots, positions, h.shape, length, scale, window);
  return nullptr;
}

}  // namespace

const NamedMethod attention_methods[] = {{"attentionForward", forward},
                                         {"attentionBackward", backward},
                                         {"attentionCached", cached},
                                         {nullptr, nullptr}};
