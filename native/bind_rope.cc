#include "arguments.h"

namespace {

struct Rows {
  int64_t rows, heads, kv_heads, head_dim, floats;
  const int32_t* positions;
  const float *cos, *sin;
};

// Arguments i..: positions, cos, sin, rows, heads, kvHeads, headDim. Every position must lie in the tables.
Rows rows_at(Arguments& a, int i) {
  Rows r;
  r.rows = a.size(i + 3, "rows");
  r.heads = a.size(i + 4, "heads");
  r.kv_heads = a.size(i + 5, "kvHeads");
  r.head_dim = a.size(i + 6, "headDim");
  r.floats = r.rows * (r.heads + 2 * r.kv_heads) * r.head_dim;
  r.positions = a.i32(i, "positions", r.rows);
  r.cos = a.f32(i + 1, "cos", Arguments::any);
  r.sin = a.f32(i + 2, "sin", a.length(i + 1));
  const int64_t table = r.head_dim > 1 ? a.length(i + 1) / (r.head_dim / 2) : 0;
  for (int64_t row = 0; row < r.rows; row++)
    if (r.positions[row] < 0 || r.positions[row] >= table) a.fail("a position lies outside the cos and sin tables");
  return r;
}

// (qkv, clipMask, positions, cos, sin, rows, heads, kvHeads, headDim, clip)
napi_value forward(Arguments& a, const KernelTable& table) {
  const Rows r = rows_at(a, 2);
  table.rope.forward(a.f32(0, "qkv", r.floats), a.u8_or_null(1, "clipMask", r.floats), r.positions, r.cos, r.sin,
                     r.rows, r.heads, r.kv_heads, r.head_dim, static_cast<float>(a.number(9, "clip")));
  return nullptr;
}

// (dqkv, clipMask, positions, cos, sin, rows, heads, kvHeads, headDim)
napi_value backward(Arguments& a, const KernelTable& table) {
  const Rows r = rows_at(a, 2);
  table.rope.backward(a.f32(0, "dqkv", r.floats), a.u8_or_null(1, "clipMask", r.floats), r.positions, r.cos, r.sin,
                      r.rows, r.heads, r.kv_heads, r.head_dim);
  return nullptr;
}

}  // namespace

const NamedMethod rope_methods[] = {{"ropeClipForward", forward}, {"ropeClipBackward", backward}, {nullptr, nullptr}};
