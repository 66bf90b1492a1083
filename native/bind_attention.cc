#include "arguments.h"

namespace {

// Arguments i..i+3: rows, heads, kvHeads, headDim.
AttentionShape shape_at(Arguments& a, size_t i) {
  const AttentionShape shape{a.size(i, "rows"), a.size(i + 1, "heads"), a.size(i + 2, "kvHeads"),
                             a.size(i + 3, "headDim")};
  if (shape.kv_heads < 1 || shape.heads % shape.kv_heads != 0)
    a.fail("heads are no multiple of kvHeads");
  if (shape.head_dim < 8 || shape.head_dim > 256 || shape.head_dim % 8 != 0)
    a.fail("headDim must be a multiple of 8, at most 256");
  return shape;
}

int64_t qkv_floats(const AttentionShape& shape) {
  return shape.rows * (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
}

const int32_t* first_key_at(Arguments& a, size_t i, int64_t rows) {
  const int32_t* first_key = a.i32(i, "firstKey", rows);
  for (int64_t r = 0; r < rows; r++)
    if (first_key[r] < 0 || first_key[r] > r || (r > 0 && first_key[r] < first_key[r - 1]))
      a.fail("firstKey must ascend and not exceed its row");
  return first_key;
}

// (out, lse, qkv, firstKey, shape x4, scale, bf16)
napi_value forward(Arguments& a, const KernelTable& table) {
  const AttentionShape shape = shape_at(a, 4);
  table.attention.forward(a.f32(0, "out", shape.rows * shape.heads * shape.head_dim),
                              a.f32(1, "lse", shape.rows * shape.heads), a.f32(2, "qkv", qkv_floats(shape)),
                              first_key_at(a, 3, shape.rows), shape, static_cast<float>(a.number(8, "scale")),
                              a.flag(9));
  return nullptr;
}

// (dqkv, dout, qkv, out, lse, firstKey, shape x4, scale, bf16)
napi_value backward(Arguments& a, const KernelTable& table) {
  const AttentionShape shape = shape_at(a, 6);
  const int64_t out_floats = shape.rows * shape.heads * shape.head_dim;
  table.attention.backward(a.f32(0, "dqkv", qkv_floats(shape)), a.f32(1, "dout", out_floats),
                               a.f32(2, "qkv", qkv_floats(shape)), a.f32(3, "out", out_floats),
                               a.f32(4, "lse", shape.rows * shape.heads),
                               first_key_at(a, 5, shape.rows), shape,
                               static_cast<float>(a.number(10, "scale")), a.flag(11));
  return nullptr;
}

// A cache may hold more slots than the rows of this call use.
float* cache_at(Arguments& a, int i, const char* name, int64_t least) {
  float* cache = a.f32(i, name, Arguments::any);
  if (a.length(i) < least) a.fail(std::string(name) + " is too short for the slots");
  return cache;
}

// (out, keyCache, valueCache, qkv, slots, positions, shape x4, cacheLength, scale)
napi_value cached(Arguments& a, const KernelTable& table) {
  const AttentionShape shape = shape_at(a, 6);
  const int64_t length = a.size(10, "cacheLength"), row = shape.kv_heads * shape.head_dim;
  const int32_t* slots = a.i32(4, "slots", shape.rows);
  const int32_t* positions = a.i32(5, "positions", shape.rows);
  int64_t used = 0;
  for (int64_t r = 0; r < shape.rows; r++) {
    if (slots[r] < 0 || positions[r] < 0 || positions[r] >= length)
      a.fail("a row lies outside the cache");
    if (slots[r] + 1 > used) used = slots[r] + 1;
  }
  table.attention.cached(a.f32(0, "out", shape.rows * shape.heads * shape.head_dim),
                             cache_at(a, 1, "keyCache", used * length * row), cache_at(a, 2, "valueCache", used * length * row),
                             a.f32(3, "qkv", qkv_floats(shape)), slots, positions, shape, length,
                             static_cast<float>(a.number(11, "scale")));
  return nullptr;
}

}  // namespace

const NamedMethod attention_methods[] = {{"attentionForward", forward},
                                         {"attentionBackward", backward},
                                         {"attentionCached", cached},
                                         {nullptr, nullptr}};
