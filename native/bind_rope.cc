#include "arguments.h"

namespace {

struct Rows {
  Size rows, heads, kv_heads, head_dim, floats;
  const int32_t* positions;
  const float *cos, *sin;
};

// Arguments i..: positions, cos, sin, rows, heads, kvHeads, headDim. Every position must lie in the tables.
Rows rows_at(Arguments& a, int i) {
  const Size rows = a.size(i + 3, "rows"), heads = a.size(i + 4, "heads"), kv_heads = a.size(i + 5, "kvHeads"),
             head_dim = a.size(i + 6, "headDim"), floats = rows * (heads + kv_heads * Size(2)) * head_dim;
  if (head_dim % 2 != 0) a.fail("headDim must be even");
  const int32_t* positions = a.i32(i, "positions", rows);
  const float* cos = a.f32(i + 1, "cos");
  const Rows r{rows, heads, kv_heads, head_dim, floats, positions, cos, a.f32(i + 2, "sin", a.length(i + 1))};
  const int64_t table = r.head_dim > 1 ? a.length(i + 1) / (r.head_dim / 2) : 0;
  for (int64_t row = 0; row < r.rows; row++)
    if (r.positions[row] < 0 || r.positions[row] >= table) a.fail("a position lies outside the cos and sin tables");
  return r;
}

// (qkv, clipMask, positions, cos, sin, rows, heads, kvHeads, headDim, clip)
napi_value forward(Arguments& a, const KernelTable& table) {
  const Rows r = rows_at(a, 2);
  float* qkv = a.f32(0, "qkv", r.floats);
  uint8_t* mask = a.u8_or_null(1, "clipMask", r.floats);
  const float clip = static_cast<float>(a.number(9, "clip"));
  if (r.floats > 0)
    table.rope.forward(qkv, mask, r.positions, r.cos, r.sin, r.rows, r.heads, r.kv_heads, r.head_dim, clip);
  return nullptr;
}

// (dqkv, clipMask, positions, cos, sin, rows, heads, kvHeads, headDim)
napi_value backward(Arguments& a, const KernelTable& table) {
  const Rows r = rows_at(a, 2);
  float* dqkv = a.f32(0, "dqkv", r.floats);
  const uint8_t* mask = a.u8_or_null(1, "clipMask", r.floats);
  if (r.floats > 0)
    table.rope.backward(dqkv, mask, r.positions, r.cos, r.sin, r.rows, r.heads, r.kv_heads, r.head_dim);
  return nullptr;
}

}  // namespace

const NamedMethod rope_methods[] = {{"ropeClipForward", forward}, {"ropeClipBackward", backward}, {nullptr, nullptr}};
