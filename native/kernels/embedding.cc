// Rows of a table by id. The backward pass adds rows in their order: pieces are columns, so that two rows of one id
// never meet in different threads.
#include "families.h"
#include "rows.h"

namespace ISA_NS {
namespace {

void forward(float* y, const float* table, const int32_t* ids, int64_t rows, int64_t dim) {
  for_rows(rows, dim, [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) memcpy(y + r * dim, table + ids[r] * dim, dim * sizeof(float));
  });
}

void backward(float* dtable, const int32_t* ids, const float* dy, int64_t rows, int64_t dim) {
  constexpr int64_t columns = 64;
  pool::parallel_for((dim + columns - 1) / columns, [&](int64_t piece) {
    const int64_t from = piece * columns, to = min64(dim, from + columns);
    for (int64_t r = 0; r < rows; r++) {
      float* __restrict out = dtable + ids[r] * dim;
      const float* __restrict in = dy + r * dim;
      for (int64_t i = from; i < to; i++) out[i] += in[i];
    }
  });
}

}  // namespace

void fill_embedding(KernelTable& table) { table.embedding = {forward, backward}; }

}  // namespace ISA_NS
