#include "arguments.h"

namespace {

// The table at `index`, after every id was found inside it.
float* table_for(Arguments& a, int index, const char* name, const int32_t* ids, Size rows, Size dim) {
  float* table = a.f32(index, name);
  const int64_t count = dim > 0 ? a.length(index) / dim : 0;
  for (int64_t r = 0; r < rows; r++)
    if (ids[r] < 0 || ids[r] >= count) a.fail("id " + std::to_string(ids[r]) + " is not among " + std::to_string(count));
  return table;
}

// (y, table, ids, rows, dim)
napi_value forward(Arguments& a, const KernelTable& kernels) {
  const Size rows = a.size(3, "rows"), dim = a.size(4, "dim");
  const int32_t* ids = a.i32(2, "ids", rows);
  kernels.embedding.forward(a.f32(0, "y", rows * dim), table_for(a, 1, "table", ids, rows, dim), ids, rows, dim);
  return nullptr;
}

// (dtable, ids, dy, rows, dim)
napi_value backward(Arguments& a, const KernelTable& kernels) {
  const Size rows = a.size(3, "rows"), dim = a.size(4, "dim");
  const int32_t* ids = a.i32(1, "ids", rows);
  float* table = table_for(a, 0, "dtable", ids, rows, dim);
  const float* dy = a.f32(2, "dy", rows * dim);
  if (rows > 0) kernels.embedding.backward(table, ids, dy, rows, dim);
  return nullptr;
}

}  // namespace

const NamedMethod embedding_methods[] = {
    {"embeddingForward", forward}, {"embeddingBackward", backward}, {nullptr, nullptr}};
